package tradebook_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ipcAddress is the real server's.
var ipcAddress string

// TestMain serves an empty database for the tests that need a real server, and tells
// them its addresses in the environment, as a user's program would find them.
func TestMain(m *testing.M) {
	os.Exit(runWithServer(m))
}

func runWithServer(m *testing.M) int {
	folder, err := os.MkdirTemp("", "tradebook-go-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	stop, err := serve(folder)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	return m.Run()
}

// serve starts $TRADEBOOK_BIN and returns when it serves.
func serve(folder string) (stop func(), err error) {
	program := os.Getenv("TRADEBOOK_BIN")
	if program == "" {
		return nil, errors.New("TRADEBOOK_BIN must name the tradebook program; these tests run against it")
	}
	ready, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	socket := "ipc://" + filepath.Join(folder, "book.sock")
	server := exec.Command(program, "serve", "--db", filepath.Join(folder, "book.db"), "--log-level", "error", "--ready-fd", "3",
		"--listen", "tcp://127.0.0.1:0", "--listen", socket, "--events", "tcp://127.0.0.1:0")
	server.Stderr = os.Stderr
	server.ExtraFiles = []*os.File{told}
	err = server.Start()
	told.Close()
	if err != nil {
		return nil, err
	}
	ipcAddress = socket
	for lines := bufio.NewScanner(ready); lines.Scan(); {
		switch what, address, _ := strings.Cut(lines.Text(), " "); {
		case what == "listen" && strings.HasPrefix(address, "tcp://"):
			os.Setenv("TRADEBOOK_ADDRESS", address)
		case what == "events":
			os.Setenv("TRADEBOOK_EVENTS_ADDRESS", address)
		}
	}
	return func() {
		server.Process.Signal(os.Interrupt)
		server.Wait()
	}, nil
}
