package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const authTimeout = 10 * time.Second

// httpAuth asks one configured URL whom to let in. Anything but 200 with `ok` within ten seconds is a refusal.
type httpAuth struct {
	url    string
	client *http.Client
}

func newHTTPAuth(url string) *httpAuth {
	return &httpAuth{url: url, client: &http.Client{Timeout: authTimeout}}
}

func (a *httpAuth) ask(ctx context.Context, address, auth string, tx uint64) (string, error) {
	body, err := json.Marshal(struct {
		Addr string `json:"addr"`
		Auth string `json:"auth"`
		Tx   uint64 `json:"tx"`
	}{address, auth, tx})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("auth answered %d", response.StatusCode)
	}
	var answer struct {
		OK bool   `json:"ok"`
		ID string `json:"id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if !answer.OK {
		return "", errors.New("refused")
	}
	return answer.ID, nil
}
