package main

import (
	"net/http"
	"time"
)

// control is for tests only; no Hysteria server has it.
func (n *node) control() http.Handler {
	mux := http.NewServeMux()
	act := func(do func() error) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if err := do(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}
	}
	mux.HandleFunc("POST /stop", act(n.stop))
	mux.HandleFunc("POST /start", act(n.start))
	mux.HandleFunc("POST /statistics/stop", act(n.stopStatistics))
	mux.HandleFunc("POST /statistics/start", act(n.startStatistics))
	mux.HandleFunc("POST /release", act(func() error { n.release(); return nil }))
	mux.HandleFunc("POST /delay", func(w http.ResponseWriter, r *http.Request) {
		delay, err := time.ParseDuration(r.URL.Query().Get("registration"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		n.delay.Store(int64(delay))
	})
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, n.state())
	})
	return mux
}
