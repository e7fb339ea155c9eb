package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/wire/release"
)

func releaseCommand() *cobra.Command {
	c := &cobra.Command{Use: "release", Short: "Make signed releases of the node agent"}
	c.AddCommand(releaseKeyCommand(), releaseSignCommand())
	return c
}

func releaseKeyCommand() *cobra.Command {
	return &cobra.Command{Use: "key FILE", Short: "Make a key to sign releases with, and print its public half", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		text, err := release.NewKey()
		if err != nil {
			return err
		}
		f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.Write(text); err != nil {
			return err
		}
		key, err := release.ReadKey(text)
		if err == nil {
			_, _ = fmt.Fprintln(c.OutOrStdout(), release.PublicKey(key))
		}
		return f.Close()
	}}
}

func releaseSignCommand() *cobra.Command {
	var keys []string
	var life time.Duration
	m := release.Manifest{Binaries: map[string]release.Binary{}}
	c := &cobra.Command{
		Use: "sign --key FILE --version V [OS/ARCH=]BINARY...", Short: "Print the signed manifest of a release", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			m.Created = time.Now().UTC().Truncate(time.Second)
			m.Expires = m.Created.Add(life)
			var private []ed25519.PrivateKey
			for _, path := range keys {
				k, err := readReleaseKey(path)
				if err != nil {
					return err
				}
				private = append(private, k)
			}
			for _, arg := range args {
				if err := addBinary(&m, arg); err != nil {
					return err
				}
			}
			text, err := release.Sign(m, private...)
			if err == nil {
				_, err = c.OutOrStdout().Write(text)
			}
			return err
		},
	}
	f := c.Flags()
	f.StringSliceVar(&keys, "key", nil, "file with a private key, from release key (required, may be repeated)")
	f.StringVar(&m.Version, "version", "", "version of the release, one to four numbers (required)")
	f.StringVar(&m.Floor, "floor", "", "version that no node goes below again")
	f.StringSliceVar(&m.Keys, "next-key", nil, "public key that nodes trust after this release, instead of the present ones")
	f.DurationVar(&life, "life", 90*24*time.Hour, "how long nodes take the release")
	_ = c.MarkFlagRequired("key")
	_ = c.MarkFlagRequired("version")
	return c
}

func readReleaseKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return release.ReadKey(text)
}

// addBinary adds a file; the platform of a Go program is in it.
func addBinary(m *release.Manifest, arg string) error {
	platform, path, given := strings.Cut(arg, "=")
	if !given {
		path = arg
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !given {
		if platform, err = platformOf(text); err != nil {
			return fmt.Errorf("%s: %w: write it as OS/ARCH=%s", path, err, path)
		}
	}
	if _, twice := m.Binaries[platform]; twice {
		return fmt.Errorf("there are two binaries for %s", platform)
	}
	digest := sha256.Sum256(text)
	m.Binaries[platform] = release.Binary{File: filepath.Base(path), Size: int64(len(text)), SHA256: hex.EncodeToString(digest[:])}
	return nil
}

func platformOf(program []byte) (string, error) {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return "", err
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	return settings["GOOS"] + "/" + settings["GOARCH"], nil
}
