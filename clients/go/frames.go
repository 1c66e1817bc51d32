package tradebook

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The protocols of SP that are spoken here; the peer's number differs in its last bit.
const (
	protocolSub = 0x21
	protocolReq = 0x30
	peerBit     = 0x01
)

const (
	dialTimeout   = 5 * time.Second // of connecting, and again of shaking hands
	receiveBuffer = 64 << 10
	lengthBytes   = 8
	ipcMessage    = 0x01 // precedes the length of each frame over ipc
)

// A peer that vanished without a word is noticed although nothing is sent to it.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

// dialer makes connections to one address.
type dialer struct {
	address  address
	tls      *tls.Config
	protocol byte
	maxFrame uint64
}

// frameConn is a connection over which both sides send SP messages as frames: the
// length in eight bytes, then so many bytes. One goroutine may read at a time, and
// one write.
type frameConn struct {
	net.Conn
	reader    *bufio.Reader
	headBytes int
	maxFrame  uint64
}

// dial connects and shakes hands.
func (d *dialer) dial(ctx context.Context) (*frameConn, error) {
	raw, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	return d.greet(ctx, raw)
}

func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	plain := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	return plain.DialContext(ctx, d.address.network, d.address.target)
}

// greet shakes hands over a connection, which it closes when that fails.
func (d *dialer) greet(ctx context.Context, raw net.Conn) (*frameConn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	// What blocks below ends with the context.
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	conn, err := d.shakeHands(ctx, raw)
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

func (d *dialer) shakeHands(ctx context.Context, raw net.Conn) (*frameConn, error) {
	if d.address.isTLS {
		secure := tls.Client(raw, d.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		raw = secure
	}
	hello := [8]byte{0, 'S', 'P', 0, 0, d.protocol}
	if _, err := raw.Write(hello[:]); err != nil {
		return nil, err
	}
	conn := &frameConn{
		Conn:      raw,
		reader:    bufio.NewReaderSize(raw, receiveBuffer),
		headBytes: lengthBytes,
		maxFrame:  d.maxFrame,
	}
	if d.address.network == "unix" {
		conn.headBytes++
	}
	var answer [8]byte
	if _, err := io.ReadFull(conn.reader, answer[:]); err != nil {
		return nil, fmt.Errorf("the peer ended the connection during the handshake: %w", err)
	}
	hello[5] ^= peerBit
	if answer != hello {
		return nil, errors.New("the peer does not speak the protocol of a tradebook server at this address; is it the right port?")
	}
	return conn, nil
}

// newFrame returns the room for a frame's head, to which its payload is to be
// appended; seal completes it.
func (c *frameConn) newFrame(payloadBytes int) []byte {
	return make([]byte, c.headBytes, c.headBytes+payloadBytes)
}

func (c *frameConn) seal(frame []byte) {
	if c.headBytes > lengthBytes {
		frame[0] = ipcMessage
	}
	binary.BigEndian.PutUint64(frame[c.headBytes-lengthBytes:], uint64(len(frame)-c.headBytes))
}

// readFrame returns the payload of the next frame, which the caller owns.
func (c *frameConn) readFrame() ([]byte, error) {
	var room [lengthBytes + 1]byte
	head := room[:c.headBytes]
	if _, err := io.ReadFull(c.reader, head); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint64(head[c.headBytes-lengthBytes:])
	if c.headBytes > lengthBytes && head[0] != ipcMessage {
		return nil, errors.New("the peer sent something that is no message")
	}
	if length > c.maxFrame {
		return nil, fmt.Errorf("the peer sent a message of %d bytes; at most %d are accepted", length, c.maxFrame)
	}
	payload := make([]byte, length)
	_, err := io.ReadFull(c.reader, payload)
	return payload, err
}
