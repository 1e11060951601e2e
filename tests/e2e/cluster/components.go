package main

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// The file descriptor that the API server's listener is handed over in: the first after the standard ones.
const listenerFD = 3

var components = map[string]func(args []string) error{
	"kube-apiserver":          runAPIServer,
	"kube-controller-manager": func(args []string) error { return runCommand(controllermanager.NewControllerManagerCommand(), args) },
	"kube-scheduler":          func(args []string) error { return runCommand(scheduler.NewSchedulerCommand(), args) },
}

func runCommand(command *cobra.Command, args []string) error {
	command.SetArgs(args)
	return command.Execute()
}

// What kube-apiserver's own command does, but for the listener: a port that was free a moment ago may not be any more, one that is bound is.
func runAPIServer(args []string) error {
	ctx := genericapiserver.SetupSignalContext()
	serving := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range serving.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := net.FileListener(os.NewFile(listenerFD, "listener"))
	if err != nil {
		return err
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return errors.New("the listener is not one of TCP")
	}
	serving.SecureServing.Listener = listener
	serving.SecureServing.BindAddress = address.IP
	serving.SecureServing.BindPort = address.Port
	return serve(ctx, serving)
}

func serve(ctx context.Context, serving *options.ServerRunOptions) error {
	if err := serving.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	if err := logsapi.ValidateAndApply(serving.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	completed, err := serving.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	return apiserver.Run(ctx, completed)
}
