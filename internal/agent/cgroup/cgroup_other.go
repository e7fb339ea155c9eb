//go:build !linux

package cgroup

import (
	"context"
	"errors"
	"syscall"
)

// Parent is a group in which groups may be made; there is none on this system.
type Parent struct{}

// Delegated says that this system has no control groups.
func Delegated() (*Parent, error) {
	return nil, errors.New("this system has no control groups")
}

// Group is one group and the processes in it.
type Group struct{}

// New is not possible on this system.
func (p *Parent) New(string) (*Group, error) {
	return nil, errors.New("this system has no control groups")
}

// Into does nothing.
func (g *Group) Into(*syscall.SysProcAttr) {}

// Kill does nothing.
func (g *Group) Kill(context.Context) error { return nil }

// Processes are none.
func (g *Group) Processes() []int { return nil }

// Close does nothing.
func (g *Group) Close() {}
