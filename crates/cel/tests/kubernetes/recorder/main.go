// Asks Kubernetes' own CEL library for its answers: what the expressions beside it give, cost, or why they are refused.
//
//	go run . ../object.json <../expressions.txt >../answers.jsonl
//
// The version of Kubernetes is that of k8s.io/apiserver in go.mod.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
)

// Answer is what becomes of an expression: it is refused, or it costs something and has a value or an error.
type Answer struct {
	Expression string  `json:"expression"`
	Refused    string  `json:"refused,omitempty"`
	Error      string  `json:"error,omitempty"`
	Value      any     `json:"value,omitempty"`
	Cost       *uint64 `json:"cost,omitempty"`
}

func main() {
	object, err := read(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	env, err := environ()
	if err != nil {
		log.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		line := in.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := out.Encode(answer(env, object, line)); err != nil {
			log.Fatal(err)
		}
	}
}

func environ() (*cel.Env, error) {
	set, err := environment.MustBaseEnvSet(version.MajorMinor(1, 37)).Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions:        []cel.EnvOption{cel.Variable("object", cel.DynType)},
	})
	if err != nil {
		return nil, err
	}
	return set.Env(environment.StoredExpressions)
}

func answer(env *cel.Env, object any, expression string) Answer {
	a := Answer{Expression: expression}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		a.Refused = strings.SplitN(issues.Err().Error(), "\n", 2)[0]
		return a
	}
	program, err := env.Program(ast)
	if err != nil {
		a.Refused = err.Error()
		return a
	}
	value, details, err := program.Eval(map[string]any{"object": object})
	a.Cost = details.ActualCost()
	if err != nil {
		a.Error = err.Error()
	} else {
		a.Value = show(value)
	}
	return a
}

// show gives text and bools as themselves, and all else as {TYPE: VALUE}.
func show(v ref.Val) any {
	switch v := v.(type) {
	case types.Bool:
		return bool(v)
	case types.String:
		return string(v)
	case types.Null:
		return map[string]any{"null": true}
	case types.Int:
		return map[string]any{"int": fmt.Sprint(int64(v))}
	case types.Uint:
		return map[string]any{"uint": fmt.Sprint(uint64(v))}
	case types.Double:
		return map[string]any{"double": fmt.Sprint(float64(v))}
	case types.Bytes:
		return map[string]any{"bytes": fmt.Sprintf("%x", []byte(v))}
	case types.Timestamp, types.Duration:
		return map[string]any{"time": fmt.Sprint(v.ConvertToType(types.StringType).Value())}
	case *types.Type:
		return map[string]any{"type": v.TypeName()}
	case *types.Optional:
		if !v.HasValue() {
			return map[string]any{"optional": nil}
		}
		return map[string]any{"optional": show(v.GetValue())}
	case traits.Lister:
		list := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			list = append(list, show(it.Next()))
		}
		return map[string]any{"list": list}
	case traits.Mapper:
		entries := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			entries[fmt.Sprint(key.Value())] = show(v.Get(key))
		}
		return map[string]any{"map": entries}
	}
	return map[string]any{"other": v.Type().TypeName()}
}

// read gives JSON as the API server holds it: whole numbers are int64.
func read(path string) (any, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, err
	}
	return whole(value), nil
}

func whole(value any) any {
	switch v := value.(type) {
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = whole(v[key])
		}
	}
	return value
}
