package tradebook_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	tradebook "github.com/tradebook/tradebook/clients/go"
	pb "github.com/tradebook/tradebook/clients/go/tradebookv1"
)

// The numbers of SP's protocols.
const (
	rep = 0x31
	pub = 0x20
)

// fake is a server that does what a test says.
type fake struct {
	address  string
	listener net.Listener
	protocol byte
	greet    func(*fakeConn)                             // called after the handshake; may be nil
	answer   func(c *fakeConn, id uint32, r *pb.Request) // called for each request, one at a time for each connection

	mu    sync.Mutex
	conns []*fakeConn
}

// fakeConn is one connection to a fake, counted from 1.
type fakeConn struct {
	net.Conn
	number int
	mu     sync.Mutex
}

func startFake(t *testing.T, protocol byte, config *tls.Config) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{address: "tcp://" + listener.Addr().String(), listener: listener, protocol: protocol}
	if config != nil {
		f.listener = tls.NewListener(listener, config)
		f.address = "tls+" + f.address
	}
	t.Cleanup(f.stop)
	return f
}

// fakeServer answers requests by a function.
func fakeServer(t *testing.T, answer func(c *fakeConn, id uint32, r *pb.Request)) *fake {
	f := startFake(t, rep, nil)
	f.answer = answer
	go f.serve()
	return f
}

func (f *fake) stop() {
	f.listener.Close()
	f.dropAll()
}

func (f *fake) dropAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
}

func (f *fake) connCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

func (f *fake) serve() {
	for {
		raw, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		c := &fakeConn{Conn: raw, number: len(f.conns) + 1}
		f.conns = append(f.conns, c)
		f.mu.Unlock()
		go f.hear(c)
	}
}

func (f *fake) hear(c *fakeConn) {
	defer c.Close()
	var hello [8]byte
	if _, err := io.ReadFull(c, hello[:]); err != nil {
		return
	}
	c.Write([]byte{0, 'S', 'P', 0, 0, f.protocol, 0, 0})
	if f.greet != nil {
		f.greet(c)
	}
	for {
		var length [8]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint64(length[:]))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		request := &pb.Request{}
		if err := proto.Unmarshal(frame[4:], request); err != nil {
			return
		}
		f.answer(c, binary.BigEndian.Uint32(frame), request)
	}
}

// send writes a message as one frame.
func (c *fakeConn) send(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Write(append(binary.BigEndian.AppendUint64(nil, uint64(len(payload))), payload...))
}

func (c *fakeConn) sendReply(id uint32, reply *pb.Reply) {
	body, err := proto.Marshal(reply)
	if err != nil {
		panic(err)
	}
	c.send(append(binary.BigEndian.AppendUint32(nil, id), body...))
}

// ok answers with a response.
func (c *fakeConn) ok(id uint32, response proto.Message) {
	payload, err := proto.Marshal(response)
	if err != nil {
		panic(err)
	}
	c.sendReply(id, &pb.Reply{Payload: payload})
}

func (c *fakeConn) fail(id uint32, code pb.Code, text string) {
	c.sendReply(id, &pb.Reply{Code: &code, Message: &text})
}

// echo answers an Echo.
func (c *fakeConn) echo(id uint32, request *pb.Request) {
	c.sendReply(id, &pb.Reply{Payload: request.GetPayload()})
}

func open(t *testing.T, address string, options ...tradebook.Option) *tradebook.Conn {
	t.Helper()
	conn, err := tradebook.NewClient(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// nowhere is an address that is not connected to.
const nowhere = "tcp://127.0.0.1:1"
