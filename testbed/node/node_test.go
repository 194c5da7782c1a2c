package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const testSecret = "stats-secret"

// world is a node, an auth endpoint whose answers a test decides, and an echo server as target.
type world struct {
	t    *testing.T
	node *node
	echo string

	mu    sync.Mutex
	asked []map[string]any
	// decide answers an auth request: HTTP status and body.
	decide func(auth string) (int, string)
}

func newWorld(t *testing.T, change func(*settings)) *world {
	t.Helper()
	w := &world{t: t, decide: func(auth string) (int, string) { return 200, fmt.Sprintf(`{"ok":true,"id":%q}`, auth) }}
	auth := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		body["path"], body["method"] = r.URL.Path, r.Method
		w.mu.Lock()
		w.asked = append(w.asked, body)
		decide := w.decide
		w.mu.Unlock()
		status, answer := decide(body["auth"].(string))
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, answer)
	}))
	t.Cleanup(auth.Close)
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = echo.Close() })
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	w.echo = echo.Addr().String()
	certificate, _, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	s := settings{
		listen: "127.0.0.1:0", statsListen: "127.0.0.1:0", statsSecret: testSecret, authURL: auth.URL + "/auth/token",
		idleTimeout: 30 * time.Second, certificate: certificate,
	}
	if change != nil {
		change(&s)
	}
	w.node = newNode(s)
	if err := w.node.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.node.stop() })
	return w
}

func (w *world) answerWith(decide func(string) (int, string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.decide = decide
}

func (w *world) api(method, path, secret, body string) (int, string) {
	w.t.Helper()
	request, err := http.NewRequest(method, "http://"+w.node.settings.statsListen+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if secret != "" {
		request.Header.Set("Authorization", secret)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (w *world) kick(ids ...string) {
	w.t.Helper()
	body, err := json.Marshal(ids)
	if err != nil {
		w.t.Fatal(err)
	}
	if status, text := w.api("POST", "/kick", testSecret, string(body)); status != 200 {
		w.t.Fatalf("kick answered %d %s", status, text)
	}
}

func (w *world) online() map[string]int {
	w.t.Helper()
	_, text := w.api("GET", "/online", testSecret, "")
	var online map[string]int
	if err := json.Unmarshal([]byte(text), &online); err != nil {
		w.t.Fatal(err)
	}
	return online
}

func (w *world) traffic() map[string]counters {
	w.t.Helper()
	_, text := w.api("GET", "/traffic", testSecret, "")
	var traffic map[string]counters
	if err := json.Unmarshal([]byte(text), &traffic); err != nil {
		w.t.Fatal(err)
	}
	return traffic
}

// until waits for a condition, and fails when it does not come.
func (w *world) until(what string, condition func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	w.t.Fatalf("in vain for ten seconds: %s", what)
}

// device is a client of the tests' own.
type device struct {
	conn *quic.Conn
}

func (w *world) connect(auth string) (*device, int, http.Header) {
	w.t.Helper()
	device, status, header, err := w.tryConnect(auth)
	if err != nil {
		w.t.Fatal(err)
	}
	return device, status, header
}

func (w *world) tryConnect(auth string) (*device, int, http.Header, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var packets net.PacketConn
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, nil, err
	}
	if w.node.settings.obfsPassword != "" {
		packets = &salamander{PacketConn: packets, password: []byte(w.node.settings.obfsPassword)}
	}
	w.t.Cleanup(func() { _ = packets.Close() })
	to, err := net.ResolveUDPAddr("udp", w.node.settings.listen)
	if err != nil {
		return nil, 0, nil, err
	}
	conn, err := quic.Dial(ctx, packets, to,
		&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}},
		&quic.Config{KeepAlivePeriod: 100 * time.Millisecond, EnableDatagrams: true})
	if err != nil {
		return nil, 0, nil, err
	}
	w.t.Cleanup(func() { _ = conn.CloseWithError(closeNoError, "") })
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+authHost+authPath, nil)
	if err != nil {
		return nil, 0, nil, err
	}
	request.Header.Set(headerAuth, auth)
	request.Header.Set(headerRate, "125000")
	request.Header.Set(headerPad, "xxxx")
	response, err := (&http3.Transport{}).NewClientConn(conn).RoundTrip(request)
	if err != nil {
		return nil, 0, nil, err
	}
	_ = response.Body.Close()
	return &device{conn}, response.StatusCode, response.Header, nil
}

// open opens a proxy stream without sending any payload.
func (d *device) open(address string) (*quic.Stream, *bufio.Reader, error) {
	stream, err := d.conn.OpenStream()
	if err != nil {
		return nil, nil, err
	}
	if err := stream.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, nil, err
	}
	if _, err := stream.Write(appendTCPRequest(nil, address)); err != nil {
		return nil, nil, err
	}
	reader := bufio.NewReader(stream)
	ok, message, err := readTCPResponse(reader)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, errors.New(message)
	}
	return stream, reader, nil
}

// echo sends bytes through the node and wants them back.
func (d *device) echo(address, text string) error {
	stream, reader, err := d.open(address)
	if err != nil {
		return err
	}
	defer stream.Close()
	if _, err := io.WriteString(stream, text); err != nil {
		return err
	}
	back := make([]byte, len(text))
	if _, err := io.ReadFull(reader, back); err != nil {
		return err
	}
	if string(back) != text {
		return fmt.Errorf("sent %q, got %q", text, back)
	}
	return nil
}

func closeCode(conn *quic.Conn) uint64 {
	<-conn.Context().Done()
	var closed *quic.ApplicationError
	if errors.As(context.Cause(conn.Context()), &closed) {
		return uint64(closed.ErrorCode)
	}
	return 0
}

func TestAuthIsAskedOnceAConnectionWithAddressAuthAndRate(t *testing.T) {
	w := newWorld(t, nil)
	d, status, header := w.connect("anna")
	if status != 233 || header.Get("Hysteria-UDP") != "false" || header.Get("Hysteria-CC-RX") == "" {
		t.Fatalf("%d %v", status, header)
	}
	for range 3 {
		if err := d.echo(w.echo, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.asked) != 1 {
		t.Fatalf("asked %d times", len(w.asked))
	}
	asked := w.asked[0]
	if asked["auth"] != "anna" || asked["tx"] != 125000.0 || asked["path"] != "/auth/token" || asked["method"] != "POST" {
		t.Fatalf("%v", asked)
	}
	if host, _, err := net.SplitHostPort(asked["addr"].(string)); err != nil || host != "127.0.0.1" {
		t.Fatalf("%v", asked)
	}
}

func TestAnythingButA200WithOkIsARefusal(t *testing.T) {
	w := newWorld(t, nil)
	for _, refusal := range []struct {
		status int
		body   string
	}{{200, `{"ok":false,"id":"anna"}`}, {201, `{"ok":true,"id":"anna"}`}, {500, ``}, {200, `not json`}, {404, `{"ok":true}`}} {
		w.answerWith(func(string) (int, string) { return refusal.status, refusal.body })
		d, status, _ := w.connect("anna")
		if status == 233 {
			t.Fatalf("let in with %v", refusal)
		}
		if err := d.echo(w.echo, "hello"); err == nil {
			t.Fatalf("proxied with %v", refusal)
		}
	}
	if online := w.online(); len(online) != 0 {
		t.Fatalf("%v", online)
	}
}

func TestAnAuthAnswerThatTakesMoreThanTenSecondsIsARefusal(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	w := newWorld(t, nil)
	release := make(chan struct{})
	w.answerWith(func(string) (int, string) { <-release; return 200, `{"ok":true,"id":"anna"}` })
	began := time.Now()
	_, status, _ := w.connect("anna")
	close(release)
	if status == 233 || time.Since(began) < 9*time.Second || time.Since(began) > 13*time.Second {
		t.Fatalf("%d after %v", status, time.Since(began))
	}
}

func TestTrafficIsCountedFromTheUsersSideAndASilentSessionIsAbsentFromIt(t *testing.T) {
	w := newWorld(t, nil)
	silent, _, _ := w.connect("silent")
	defer silent.conn.CloseWithError(closeNoError, "")
	sink, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	go func() {
		conn, err := sink.Accept()
		if err != nil {
			return
		}
		_, _ = io.ReadFull(conn, make([]byte, 1000))
		_, _ = conn.Write([]byte("ok"))
	}()
	d, _, _ := w.connect("anna")
	stream, reader, err := d.open(sink.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write(bytes.Repeat([]byte{1}, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(reader, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	traffic := w.traffic()
	if traffic["anna"] != (counters{Tx: 1000, Rx: 2}) {
		t.Fatalf("%v", traffic)
	}
	if _, there := traffic["silent"]; there || w.online()["silent"] != 1 {
		t.Fatalf("%v %v", traffic, w.online())
	}
}

func TestStatisticsWantTheSecretWithoutAScheme(t *testing.T) {
	w := newWorld(t, nil)
	for secret, want := range map[string]int{testSecret: 200, "Bearer " + testSecret: 401, "wrong": 401, "": 401} {
		if status, _ := w.api("GET", "/online", secret, ""); status != want {
			t.Errorf("%q: %d instead of %d", secret, status, want)
		}
	}
}

func TestOneKickOfAnIDThatThreeDevicesShareCutsOnlyTheFirstThatMoves(t *testing.T) {
	w := newWorld(t, nil)
	devices := make([]*device, 3)
	for i := range devices {
		devices[i], _, _ = w.connect("anna")
	}
	w.until("three online", func() bool { return w.online()["anna"] == 3 })
	// Kicked twice before anything moves: a set holds the id once.
	w.kick("anna")
	w.kick("anna")
	if err := devices[1].echo(w.echo, "first to move"); err == nil {
		t.Fatal("a kicked id moved bytes")
	}
	if code := closeCode(devices[1].conn); code != closeTrafficLimit {
		t.Fatalf("closed with %#x", code)
	}
	for _, i := range []int{0, 2} {
		if err := devices[i].echo(w.echo, "still here"); err != nil {
			t.Fatal(err)
		}
	}
	w.until("two online", func() bool { return w.online()["anna"] == 2 })
}

func TestAKickedButSilentSessionLivesThroughKeepalivesUntilItMovesAByte(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.idleTimeout = time.Second })
	d, _, _ := w.connect("anna")
	w.kick("anna")
	select {
	case <-d.conn.Context().Done():
		t.Fatal("cut without having moved a byte")
	case <-time.After(2 * time.Second):
	}
	if w.online()["anna"] != 1 {
		t.Fatalf("%v", w.online())
	}
	// Opening a stream is not payload yet.
	stream, _, err := d.open(w.echo)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if code := closeCode(d.conn); code != closeTrafficLimit {
		t.Fatalf("closed with %#x", code)
	}
	w.until("gone", func() bool { return w.online()["anna"] == 0 })
	if moved := w.traffic()["anna"]; moved != (counters{}) {
		t.Fatalf("the chunk that was cut is counted: %v", moved)
	}
}

func TestKickingAnOfflineIDBreaksItsNextGoodConnection(t *testing.T) {
	w := newWorld(t, nil)
	w.kick("anna")
	first, status, _ := w.connect("anna")
	if status != 233 {
		t.Fatal(status)
	}
	if err := first.echo(w.echo, "hello"); err == nil {
		t.Fatal("the left-over entry did nothing")
	}
	second, _, _ := w.connect("anna")
	if err := second.echo(w.echo, "hello"); err != nil {
		t.Fatal(err)
	}
}

func TestOneKickCallNamesManyIDs(t *testing.T) {
	w := newWorld(t, nil)
	ids := []string{"anna.1.0", "anna.1.1", "anna.1.2"}
	var devices []*device
	for _, id := range ids {
		d, _, _ := w.connect(id)
		devices = append(devices, d)
	}
	other, _, _ := w.connect("anna.1.3")
	w.kick(ids...)
	for i, d := range devices {
		if err := d.echo(w.echo, "hello"); err == nil {
			t.Fatalf("%s moved bytes", ids[i])
		}
	}
	if err := other.echo(w.echo, "hello"); err != nil {
		t.Fatal(err)
	}
}

func TestADeviceThatVanishesStaysOnlineForTheIdleTimeout(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.idleTimeout = 2 * time.Second })
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	to, _ := net.ResolveUDPAddr("udp", w.node.settings.listen)
	conn, err := quic.Dial(context.Background(), socket, to,
		&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, &quic.Config{EnableDatagrams: true})
	if err != nil {
		t.Fatal(err)
	}
	request, _ := http.NewRequest(http.MethodPost, "https://"+authHost+authPath, nil)
	request.Header.Set(headerAuth, "anna")
	if _, err := (&http3.Transport{}).NewClientConn(conn).RoundTrip(request); err != nil {
		t.Fatal(err)
	}
	w.until("online", func() bool { return w.online()["anna"] == 1 })
	_ = socket.Close()
	gone := time.Now()
	w.until("gone", func() bool { return w.online()["anna"] == 0 })
	if after := time.Since(gone); after < time.Second {
		t.Fatalf("gone after %v without a goodbye", after)
	}
}

func TestARestartForgetsCountersSessionsAndKicks(t *testing.T) {
	w := newWorld(t, nil)
	d, _, _ := w.connect("anna")
	if err := d.echo(w.echo, "hello"); err != nil {
		t.Fatal(err)
	}
	w.kick("bert")
	if err := w.node.stop(); err != nil {
		t.Fatal(err)
	}
	if err := w.node.start(); err != nil {
		t.Fatal(err)
	}
	if len(w.traffic()) != 0 || len(w.online()) != 0 {
		t.Fatalf("%v %v", w.traffic(), w.online())
	}
	bert, _, _ := w.connect("bert")
	if err := bert.echo(w.echo, "hello"); err != nil {
		t.Fatal(err)
	}
}

func TestClearReadsAndZeroes(t *testing.T) {
	w := newWorld(t, nil)
	d, _, _ := w.connect("anna")
	if err := d.echo(w.echo, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, text := w.api("GET", "/traffic?clear=1", testSecret, ""); !strings.Contains(text, "anna") {
		t.Fatal(text)
	}
	if len(w.traffic()) != 0 {
		t.Fatalf("%v", w.traffic())
	}
}

func TestADelayKeepsASessionUnregisteredAfterTheAuthAnswer(t *testing.T) {
	w := newWorld(t, nil)
	w.node.delay.Store(int64(time.Hour))
	connected := make(chan int, 1)
	go func() {
		_, status, _, _ := w.tryConnect("anna")
		connected <- status
	}()
	w.until("waiting", func() bool { return w.node.waiting.Load() == 1 })
	if len(w.asked) != 1 || len(w.online()) != 0 {
		t.Fatalf("%v %v", w.asked, w.online())
	}
	w.node.release()
	if status := <-connected; status != 233 || w.online()["anna"] != 1 {
		t.Fatalf("%d %v", status, w.online())
	}
}

func TestProxyRequestsWithoutAuthenticationAndForeignPagesGetNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.answerWith(func(string) (int, string) { return 200, `{"ok":false}` })
	d, status, _ := w.connect("nobody")
	if status != 404 {
		t.Fatal(status)
	}
	if err := d.echo(w.echo, "hello"); err == nil {
		t.Fatal("proxied")
	}
	if code := closeCode(d.conn); code != closeProtocol {
		t.Fatalf("closed with %#x", code)
	}
}

func TestSalamanderHidesTheServerFromThoseWithoutThePassword(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.obfsPassword = "between us" })
	d, status, _ := w.connect("anna")
	if status != 233 {
		t.Fatal(status)
	}
	if err := d.echo(w.echo, strings.Repeat("long ", 100_000)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err := quic.DialAddr(ctx, w.node.settings.listen,
		&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
	if err == nil {
		t.Fatal("answered a packet that was not obfuscated")
	}
}

func TestAnUnreachableTargetIsToldToTheClient(t *testing.T) {
	w := newWorld(t, nil)
	d, _, _ := w.connect("anna")
	if _, _, err := d.open("127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Fatal(err)
	}
}
