package main

import (
	"encoding/json"
	"net/http"
)

// control is for tests only; no panel has it.
func (p *panel) control() http.Handler {
	mux := http.NewServeMux()
	given := func(take func(*json.Decoder) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if err := take(json.NewDecoder(r.Body)); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		}
	}
	mux.HandleFunc("PUT /server", given(func(body *json.Decoder) error {
		p.server.mu.Lock()
		defer p.server.mu.Unlock()
		return body.Decode(&p.server.at)
	}))
	// As a backup that is put back, or a reset.
	mux.HandleFunc("PUT /accounts", given(func(body *json.Decoder) error {
		accounts := map[string]*account{}
		if err := body.Decode(&accounts); err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.accounts = accounts
		return nil
	}))
	shown := func(what func() any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(what())
		}
	}
	mux.HandleFunc("GET /accounts", shown(func() any { return p.accounts }))
	mux.HandleFunc("GET /calls", shown(func() any { return p.calls }))
	return mux
}
