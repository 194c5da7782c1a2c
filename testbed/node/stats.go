package main

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

type counters struct {
	Tx uint64 `json:"tx"`
	Rx uint64 `json:"rx"`
}

// passage is the test's own record of what the node let through for one id.
type passage struct {
	Bytes uint64 `json:"bytes"`
	// LastNanos is when the node last let a payload chunk through, as Unix time.
	LastNanos int64 `json:"lastNanos"`
}

type streamInfo struct {
	State      string    `json:"state"`
	Auth       string    `json:"auth"`
	Connection uint32    `json:"connection"`
	Stream     uint64    `json:"stream"`
	Address    string    `json:"req_addr"`
	Hooked     string    `json:"hooked_req_addr"`
	Tx         uint64    `json:"tx"`
	Rx         uint64    `json:"rx"`
	Initial    time.Time `json:"initial_at"`
	LastActive time.Time `json:"last_active_at"`
}

// stats is the traffic statistics API: counters, who is online, and the kick set.
type stats struct {
	mu      sync.Mutex
	secret  string
	traffic map[string]counters
	online  map[string]int
	kicked  map[string]struct{}
	streams map[*streamInfo]struct{}
	passed  map[string]passage
}

func newStats(secret string) *stats {
	return &stats{
		secret:  secret,
		traffic: map[string]counters{},
		online:  map[string]int{},
		kicked:  map[string]struct{}{},
		streams: map[*streamInfo]struct{}{},
		passed:  map[string]passage{},
	}
}

// account records a payload chunk before it is passed on. False means that the id was in the kick set: the entry is
// taken out, the chunk must not be passed, and the connection that moved it must be closed.
func (s *stats) account(stream *streamInfo, tx, rx uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := stream.Auth
	if _, kicked := s.kicked[id]; kicked {
		delete(s.kicked, id)
		return false
	}
	now := time.Now()
	total := s.traffic[id]
	total.Tx += tx
	total.Rx += rx
	s.traffic[id] = total
	stream.Tx += tx
	stream.Rx += rx
	stream.LastActive = now
	seen := s.passed[id]
	s.passed[id] = passage{Bytes: seen.Bytes + tx + rx, LastNanos: now.UnixNano()}
	return true
}

func (s *stats) connected(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.online[id]++
}

func (s *stats) disconnected(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.online[id]--; s.online[id] <= 0 {
		delete(s.online, id)
	}
}

func (s *stats) opened(stream *streamInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[stream] = struct{}{}
}

func (s *stats) closed(stream *streamInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, stream)
}

func (s *stats) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /traffic", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		answer(w, s.traffic)
		if clear := r.URL.Query().Get("clear"); clear == "1" || clear == "true" {
			s.traffic = map[string]counters{}
		}
	})
	mux.HandleFunc("GET /online", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		answer(w, s.online)
	})
	mux.HandleFunc("POST /kick", func(w http.ResponseWriter, r *http.Request) {
		var ids []string
		if err := json.NewDecoder(r.Body).Decode(&ids); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, id := range ids {
			s.kicked[id] = struct{}{}
		}
	})
	mux.HandleFunc("GET /dump/streams", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		list := make([]streamInfo, 0, len(s.streams))
		for stream := range s.streams {
			list = append(list, *stream)
		}
		answer(w, map[string]any{"streams": list})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.secret != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(s.secret)) != 1 {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(value)
}
