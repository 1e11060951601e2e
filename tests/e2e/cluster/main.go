// A Kubernetes control plane for tests: etcd and the API server of one release, in one program, on loopback.
//
//	portcullis-cluster run DIR
//	├─ etcd               in this process, by a UNIX socket in DIR
//	├─ kube-apiserver     this program again, on a port that is bound here and handed over
//	├─ kube-controller-manager, kube-scheduler      the same, where asked for
//	└─ stdout: {"server": …, "kubeconfig": …, "version": …}, one line, when /readyz says ok
//
// The components are Kubernetes' own, built from its published modules, with upstream's defaults. Each runs in a process of its own,
// because their feature gates, metrics and signal handlers are global. They die with this process, however it ends.
//
// Everything that it writes is in DIR, which has not to be there before, and which it removes when it ends: on SIGTERM, on SIGINT, when
// a component ends, and, with --until-stdin-closes, when whoever started it is gone. Nothing of it is meant to be kept.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

const usage = `usage: portcullis-cluster run [--controller-manager] [--scheduler] [--until-stdin-closes] DIR

DIR is made, and removed at the end. On stdout, one line of JSON when the API server is ready.
`

func main() {
	// What a child is told of its parent's death is told when the parent's *thread* ends. The main thread ends last.
	runtime.LockOSThread()
	if len(os.Args) < 2 {
		fail(2, usage)
	}
	name, args := os.Args[1], os.Args[2:]
	if component, ok := components[name]; ok {
		if err := component(args); err != nil {
			fail(1, "%s: %v\n", name, err)
		}
		return
	}
	if name != "run" {
		fail(2, usage)
	}
	if err := run(args); err != nil {
		fail(1, "portcullis-cluster: %v\n", err)
	}
}

func fail(status int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, format, args...)
	os.Exit(status)
}

func run(args []string) (err error) {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	controllers := flags.Bool("controller-manager", false, "")
	scheduler := flags.Bool("scheduler", false, "")
	untilStdinCloses := flags.Bool("until-stdin-closes", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		fail(2, usage)
	}
	dir, err := filepath.Abs(flags.Arg(0))
	if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *untilStdinCloses {
		go func() {
			_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
			stop()
		}()
	}

	// Private: it holds the keys of the cluster's administrator, and etcd's socket.
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	cluster := &cluster{dir: dir}
	// Where it failed, the folder tells why: it stays unless all went well.
	defer func() {
		cluster.stop()
		if err == nil {
			err = os.RemoveAll(dir)
		}
	}()
	ready, err := cluster.start(ctx, *controllers, *scheduler)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	line, err := json.Marshal(ready)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	select {
	case <-ctx.Done():
		return nil
	case err := <-cluster.ended:
		return err
	}
}
