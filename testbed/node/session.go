package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

var errKicked = errors.New("kicked")

const dialTimeout = 10 * time.Second

// session is one QUIC connection of a client.
type session struct {
	node  *node
	stats *stats
	conn  *quic.Conn
	label uint32

	mu            sync.Mutex
	authenticated bool
	ended         bool
	id            string
}

// serve runs until the connection ends.
func (s *session) serve() {
	h3 := &http3.Server{Handler: http.HandlerFunc(s.authenticate)}
	raw, err := h3.NewRawServerConn(s.conn)
	if err != nil {
		return
	}
	go func() {
		for {
			stream, err := s.conn.AcceptUniStream(context.Background())
			if err != nil {
				return
			}
			go raw.HandleUnidirectionalStream(stream)
		}
	}()
	for {
		stream, err := s.conn.AcceptStream(context.Background())
		if err != nil {
			break
		}
		go s.dispatch(raw, stream)
	}
	s.mu.Lock()
	registered, id := s.authenticated, s.id
	s.ended = true
	s.mu.Unlock()
	if registered {
		s.stats.disconnected(id)
	}
}

// dispatch tells a proxy request from HTTP/3 by the frame type that begins the stream.
func (s *session) dispatch(raw *http3.RawServerConn, stream *quic.Stream) {
	head := make([]byte, 2)
	if _, err := stream.Peek(head); err != nil {
		return
	}
	frame, length, err := quicvarint.Parse(head)
	if err != nil || frame != frameTCPRequest {
		raw.HandleRequestStream(stream)
		return
	}
	s.mu.Lock()
	authenticated, id := s.authenticated, s.id
	s.mu.Unlock()
	if !authenticated {
		_ = s.conn.CloseWithError(closeProtocol, "")
		return
	}
	if _, err := io.ReadFull(stream, head[:length]); err != nil {
		return
	}
	if err := s.proxy(stream, id); errors.Is(err, errKicked) {
		_ = s.conn.CloseWithError(closeTrafficLimit, "")
	}
}

// authenticate answers POST /auth; to anybody else the server looks like a web server without pages.
func (s *session) authenticate(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Host != authHost || r.URL.Path != authPath {
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.authenticated {
		acceptSession(w)
		return
	}
	rate, _ := strconv.ParseUint(r.Header.Get(headerRate), 10, 64)
	id, err := s.node.auth.ask(r.Context(), s.conn.RemoteAddr().String(), r.Header.Get(headerAuth), rate)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if !s.node.waitBeforeRegistering(s.conn.Context()) {
		return
	}
	if s.ended {
		return
	}
	acceptSession(w)
	s.authenticated, s.id = true, id
	s.stats.connected(id)
}

func acceptSession(w http.ResponseWriter) {
	w.Header().Set(headerUDP, "false")
	w.Header().Set(headerRate, "0")
	w.Header().Set(headerPad, strings.Repeat("x", 256+rand.IntN(1024)))
	w.WriteHeader(statusOK)
}

// proxy serves one TCP proxy stream. The kick set is asked for every payload chunk, before the chunk is passed on.
func (s *session) proxy(stream *quic.Stream, id string) error {
	defer stream.Close()
	reader := bufio.NewReader(stream)
	address, err := readTCPRequest(reader)
	if err != nil {
		stream.CancelRead(closeProtocol)
		return err
	}
	now := time.Now()
	info := &streamInfo{
		State: "estab", Auth: id, Connection: s.label, Stream: uint64(stream.StreamID()), Address: address,
		Initial: now, LastActive: now,
	}
	s.stats.opened(info)
	defer s.stats.closed(info)
	target, err := s.connect(address)
	if err != nil {
		_, _ = stream.Write(appendTCPResponse(nil, false, err.Error(), nil))
		stream.CancelRead(closeNoError)
		return err
	}
	defer target.Close()
	padding := []byte(strings.Repeat("x", 128+rand.IntN(512)))
	if _, err := stream.Write(appendTCPResponse(nil, true, "Connected", padding)); err != nil {
		return err
	}
	results := make(chan error, 2)
	go func() {
		results <- s.relay(target, reader, func(n uint64) bool { return s.stats.account(info, n, 0) })
	}()
	go func() {
		results <- s.relay(stream, target, func(n uint64) bool { return s.stats.account(info, 0, n) })
	}()
	// The first direction that ends ends the stream.
	err = <-results
	stream.CancelRead(closeNoError)
	return err
}

func (s *session) connect(address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	address, err := s.node.settings.acl.destination(ctx, address)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", address)
}

func (s *session) relay(to io.Writer, from io.Reader, account func(uint64) bool) error {
	buffer := make([]byte, 32*1024)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !account(uint64(n)) {
				return errKicked
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
