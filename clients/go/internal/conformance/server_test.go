package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

const serverProgram = "../../../../tests/conformance/server"

// server is tests/conformance/server with a database of its own.
type server struct {
	addresses map[string]string
	process   *exec.Cmd
	commands  io.WriteCloser
	answers   *bufio.Reader
}

func startServer(t *testing.T, options []string) *server {
	t.Helper()
	s := &server{process: exec.Command(serverProgram, options...)}
	s.process.Stderr = os.Stderr
	var err error
	if s.commands, err = s.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	answers, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.answers = bufio.NewReader(answers)
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	if err := s.read(&s.addresses); err != nil {
		t.Fatalf("the server did not tell its addresses: %v", err)
	}
	return s
}

func (s *server) read(to any) error {
	line, err := s.answers.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, to)
}

// do has a command done and returns the rows of its answer, if there are any.
func (s *server) do(command any) (any, error) {
	if err := json.NewEncoder(s.commands).Encode(command); err != nil {
		return nil, err
	}
	var answer struct {
		OK    bool
		Rows  any
		Error string
	}
	if err := s.read(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%v: %s", command, answer.Error)
	}
	return answer.Rows, nil
}

func (s *server) stop(t *testing.T) {
	s.commands.Close()
	if err := s.process.Wait(); err != nil {
		t.Errorf("the server ended badly: %v", err)
	}
}
