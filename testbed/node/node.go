package main

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

type settings struct {
	listen       string
	statsListen  string
	statsSecret  string
	authURL      string
	obfsPassword string
	idleTimeout  time.Duration
	acl          acl
	certificate  tls.Certificate
}

// node is a Hysteria 2 server that can be stopped and started again on the same ports, as a restart would.
type node struct {
	settings settings
	auth     *httpAuth
	delay    atomic.Int64
	waiting  atomic.Int64
	gate     chan struct{}

	mu      sync.Mutex
	running *running
}

// running is what one start of the node holds.
type running struct {
	stats     *stats
	socket    net.PacketConn
	transport *quic.Transport
	listener  *quic.Listener
	api       *http.Server
}

func newNode(s settings) *node {
	return &node{settings: s, auth: newHTTPAuth(s.authURL), gate: make(chan struct{})}
}

// start opens both listeners with empty statistics. Ports that were chosen by the system are kept for later starts.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running != nil {
		return nil
	}
	socket, err := net.ListenPacket("udp", n.settings.listen)
	if err != nil {
		return err
	}
	n.settings.listen = socket.LocalAddr().String()
	packets := socket
	if n.settings.obfsPassword != "" {
		packets = &salamander{PacketConn: socket, password: []byte(n.settings.obfsPassword)}
	}
	transport := &quic.Transport{Conn: packets}
	listener, err := transport.Listen(
		&tls.Config{Certificates: []tls.Certificate{n.settings.certificate}, NextProtos: []string{"h3"}},
		&quic.Config{
			MaxIdleTimeout:                 n.settings.idleTimeout,
			MaxIncomingStreams:             1024,
			InitialStreamReceiveWindow:     8 << 20,
			MaxStreamReceiveWindow:         8 << 20,
			InitialConnectionReceiveWindow: 20 << 20,
			MaxConnectionReceiveWindow:     20 << 20,
			EnableDatagrams:                true,
		},
	)
	if err != nil {
		return errors.Join(err, transport.Close(), socket.Close())
	}
	stats := newStats(n.settings.statsSecret)
	api, err := n.serveStatistics(stats)
	if err != nil {
		return errors.Join(err, listener.Close(), transport.Close(), socket.Close())
	}
	n.running = &running{stats, socket, transport, listener, api}
	go n.accept(listener, stats)
	return nil
}

func (n *node) serveStatistics(stats *stats) (*http.Server, error) {
	listener, err := net.Listen("tcp", n.settings.statsListen)
	if err != nil {
		return nil, err
	}
	n.settings.statsListen = listener.Addr().String()
	api := &http.Server{Handler: stats.handler()}
	go func() { _ = api.Serve(listener) }()
	return api, nil
}

// stopStatistics closes the statistics API alone: connections go on.
func (n *node) stopStatistics() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running == nil {
		return nil
	}
	return n.running.api.Close()
}

// startStatistics opens the statistics API again with what it knew, as after a break of the network.
func (n *node) startStatistics() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running == nil {
		return nil
	}
	api, err := n.serveStatistics(n.running.stats)
	if err != nil {
		return err
	}
	n.running.api = api
	return nil
}

func (n *node) accept(listener *quic.Listener, stats *stats) {
	for {
		conn, err := listener.Accept(context.Background())
		if err != nil {
			return
		}
		s := &session{node: n, stats: stats, conn: conn, label: rand.Uint32()}
		go s.serve()
	}
}

// stop closes every connection and both ports.
func (n *node) stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.running
	if r == nil {
		return nil
	}
	n.running = nil
	return errors.Join(r.api.Close(), r.listener.Close(), r.transport.Close(), r.socket.Close())
}

// waitBeforeRegistering keeps a session between the auth answer and its registration for as long as the test wants.
func (n *node) waitBeforeRegistering(ctx context.Context) bool {
	n.waiting.Add(1)
	defer n.waiting.Add(-1)
	n.mu.Lock()
	gate := n.gate
	n.mu.Unlock()
	select {
	case <-time.After(time.Duration(n.delay.Load())):
		return true
	case <-gate:
		return true
	case <-ctx.Done():
		return false
	}
}

// release lets every session that waits register now, and ends the delay.
func (n *node) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay.Store(0)
	close(n.gate)
	n.gate = make(chan struct{})
}

// state is what a test may see of the node behind its statistics API.
func (n *node) state() map[string]any {
	n.mu.Lock()
	r := n.running
	n.mu.Unlock()
	state := map[string]any{"waiting": n.waiting.Load(), "online": map[string]int{}, "passed": map[string]passage{}}
	if r != nil {
		r.stats.mu.Lock()
		defer r.stats.mu.Unlock()
		state["online"], state["passed"] = maps.Clone(r.stats.online), maps.Clone(r.stats.passed)
	}
	return state
}
