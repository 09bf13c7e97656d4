package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"
)

// driver is a running ChromeDriver, which speaks WebDriver (w3.org/TR/webdriver2). What the tests need of it is a few
// requests, so they need no module for it.
type driver struct{ address, browser string }

// startDriver starts ChromeDriver. Without it the test is skipped, except in the CI.
func startDriver(t *testing.T) driver {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	program, err2 := exec.LookPath("chromedriver")
	if err := errors.Join(err, err2); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v; run apt-get install chromium chromium-driver", err)
	}
	cmd := exec.Command(program, "--port=0")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	started := regexp.MustCompile(`started successfully on port (\d+)`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if port := started.FindStringSubmatch(lines.Text()); port != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return driver{"http://127.0.0.1:" + port[1], browser}
		}
	}
	t.Fatal("chromedriver did not start")
	return driver{}
}

// window is the window of somebody's browser, with cookies of its own.
type window struct {
	t       *testing.T
	site    *site
	session string // address of the WebDriver session
}

func (d driver) window(t *testing.T, s *site) *window {
	t.Helper()
	args := []string{"--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
		"--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
		"--user-data-dir=" + t.TempDir()}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // which does not work for root
	}
	w := &window{t, s, d.address + "/session"}
	var opened struct {
		SessionID string `json:"sessionId"`
	}
	w.call(http.MethodPost, "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"goog:chromeOptions": map[string]any{"binary": d.browser, "args": args},
		"goog:loggingPrefs":  map[string]string{"browser": "ALL"},
	}}}, &opened)
	w.session += "/" + opened.SessionID
	t.Cleanup(func() { w.call(http.MethodDelete, "", nil, nil) })
	w.viewport(960, 720)
	return w
}

// call sends a command and reads the value of the answer.
func (w *window) call(method, path string, params, value any) {
	w.t.Helper()
	if err := w.try(method, path, params, value); err != nil {
		w.t.Fatal(err)
	}
}

func (w *window) try(method, path string, params, value any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return err
	}
	if params == nil {
		body = nil
	}
	req, err := http.NewRequest(method, w.session+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	client := http.Client{Timeout: time.Minute}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %.2000s", method, path, answer)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(answer, &struct{ Value any }{value})
}

// run runs a function of JavaScript in the page. The policy of the page does not bind it.
func (w *window) run(value any, function string, args ...any) {
	w.t.Helper()
	if args == nil {
		args = []any{}
	}
	w.call(http.MethodPost, "/execute/sync", script(function, args), value)
}

func script(function string, args []any) map[string]any {
	return map[string]any{"script": fmt.Sprintf("return (%s).apply(null, arguments)", function), "args": args}
}

// element is a reference to an element of the page. Its key is fixed by WebDriver.
type element struct {
	ID string `json:"element-6066-11e4-a52e-4f735466cecf"`
}

func (w *window) click(e element) {
	w.t.Helper()
	w.call(http.MethodPost, "/element/"+e.ID+"/click", struct{}{}, nil)
}

// leave clicks what leads to another page, and waits until that page is there. A script of the old page finds its mark.
func (w *window) leave(e element) {
	w.t.Helper()
	w.run(nil, `() => { window.left = true }`)
	w.click(e)
	const patience = 20 * time.Second
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(10 * time.Millisecond) {
		there := false
		arrived := script(`() => !window.left && document.readyState === "complete"`, []any{})
		if err := w.try(http.MethodPost, "/execute/sync", arrived, &there); err == nil && there { // fails between pages
			return
		}
	}
	w.t.Fatalf("a click has led to no other page in %s", patience)
}

func (w *window) write(e element, text string) {
	w.t.Helper()
	w.call(http.MethodPost, "/element/"+e.ID+"/clear", struct{}{}, nil)
	w.call(http.MethodPost, "/element/"+e.ID+"/value", map[string]string{"text": text}, nil)
}

// key presses a key, such as "\uE004" for Tab.
func (w *window) key(key string) {
	w.t.Helper()
	w.call(http.MethodPost, "/actions", map[string]any{"actions": []any{map[string]any{
		"type": "key", "id": "keyboard", "actions": []any{
			map[string]string{"type": "keyDown", "value": key}, map[string]string{"type": "keyUp", "value": key},
		},
	}}}, nil)
}

func (w *window) open(path string) {
	w.t.Helper()
	w.call(http.MethodPost, "/url", map[string]string{"url": w.site.base + path}, nil)
}

// devtools sends a command of the DevTools protocol, for what WebDriver does not have.
func (w *window) devtools(command string, params any) {
	w.t.Helper()
	w.call(http.MethodPost, "/goog/cdp/execute", map[string]any{"cmd": command, "params": params}, nil)
}

func (w *window) viewport(width, height int) {
	w.t.Helper()
	w.devtools("Emulation.setDeviceMetricsOverride",
		map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
}

// prefers sets the color scheme of the system, light or dark.
func (w *window) prefers(scheme string) {
	w.t.Helper()
	w.devtools("Emulation.setEmulatedMedia", map[string]any{"features": []any{
		map[string]string{"name": "prefers-color-scheme", "value": scheme},
	}})
}

// console returns what the browser has complained about since the last call.
func (w *window) console() (messages []string) {
	w.t.Helper()
	var entries []struct{ Level, Message string }
	w.call(http.MethodPost, "/se/log", map[string]string{"type": "browser"}, &entries)
	for _, e := range entries {
		messages = append(messages, e.Level+": "+e.Message)
	}
	return messages
}
