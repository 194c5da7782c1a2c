package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

var errNoServer = errors.New("no server is known yet")

// server is the panel's Hysteria server: how links name it, and its traffic statistics API.
type server struct {
	mu sync.Mutex
	at serverAt
}

// serverAt is what the control API tells of it.
type serverAt struct {
	// What stands behind name and password in a link.
	Link   string `json:"link"`
	Stats  string `json:"stats"`
	Secret string `json:"secret"`
}

type counters struct {
	Tx int64 `json:"tx"`
	Rx int64 `json:"rx"`
}

var statistics = http.Client{Timeout: 3 * time.Second}

func (s *server) where() serverAt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *server) call(method, path string, body, into any) error {
	at := s.where()
	if at.Stats == "" {
		return errNoServer
	}
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, at.Stats+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", at.Secret)
	answer, err := statistics.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", path, answer.StatusCode)
	}
	if into == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

func (s *server) kick(names []string) error {
	return s.call(http.MethodPost, "/kick", names, nil)
}

func (s *server) traffic() (map[string]counters, error) {
	var moved map[string]counters
	err := s.call(http.MethodGet, "/traffic?clear=1", nil, &moved)
	return moved, err
}

func (s *server) online() (map[string]int, error) {
	var devices map[string]int
	err := s.call(http.MethodGet, "/online", nil, &devices)
	return devices, err
}
