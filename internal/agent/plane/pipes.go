package plane

import (
	"os"
	"os/exec"
	"syscall"
)

// pipes connects a command with three pipes and gives our ends.
func pipes(cmd *exec.Cmd) (in *os.File, out, errs *tail, err error) {
	var files [6]*os.File
	for i := 0; i < 6; i += 2 {
		if files[i], files[i+1], err = os.Pipe(); err != nil {
			return nil, nil, nil, err
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[3], files[5]
	return files[1], &tail{File: files[2]}, &tail{File: files[4]}, nil
}

// closeChildEnds closes the ends that the process has now.
func closeChildEnds(cmd *exec.Cmd) {
	for _, f := range []any{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		_ = f.(*os.File).Close()
	}
}

// hangUpNow ends a process that nobody waits for.
func hangUpNow(cmd *exec.Cmd) {
	signalGroup(cmd, syscall.SIGKILL)
	_ = cmd.Wait()
}
