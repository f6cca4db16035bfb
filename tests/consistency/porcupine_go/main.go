// Judges histories of list-append by Porcupine: porcupine FILE...
//
// A file holds one operation a line (tests/consistency/history.py). Exit status 1 if any history is
// not linearizable, or could not be judged in time.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const never = -1
const judgingTime = 60 * time.Second

type operation struct {
	Agent   string `json:"agent"`
	Client  int    `json:"client"`
	Kind    string `json:"kind"`
	Number  int    `json:"number"`
	Length  int    `json:"length"`
	Numbers *[]int `json:"numbers"`
	Refused bool   `json:"refused"`
	Start   int64  `json:"start"`
	End     int64  `json:"end"`
}

// The state is the list as text: "1,2,3,". Text is comparable, so Porcupine can remember it.
func text(numbers []int) string {
	var b strings.Builder
	for _, n := range numbers {
		b.WriteString(strconv.Itoa(n))
		b.WriteByte(',')
	}
	return b.String()
}

func step(state, input, _ interface{}) (bool, interface{}) {
	list, op := state.(string), input.(operation)
	if op.Kind == "read" {
		return op.Numbers != nil && text(*op.Numbers) == list, list
	}
	refused := op.Kind == "append_if" && strings.Count(list, ",") != op.Length
	if op.End != never && refused != op.Refused {
		return false, list
	}
	if refused {
		return true, list
	}
	after := list + strconv.Itoa(op.Number) + ","
	return op.Numbers == nil || text(*op.Numbers) == after, after
}

var model = porcupine.Model{
	Init:  func() interface{} { return "" },
	Step:  step,
	Equal: func(a, b interface{}) bool { return a == b },
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		agents := map[string][]porcupine.Operation{}
		for _, op := range history {
			agent := op.Input.(operation).Agent
			agents[agent] = append(agents[agent], op)
		}
		parts := make([][]porcupine.Operation, 0, len(agents))
		for _, part := range agents {
			parts = append(parts, part)
		}
		return parts
	},
}

func read(path string) ([]porcupine.Operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var history []porcupine.Operation
	seen := map[string]map[int]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	var all []operation
	for lines.Scan() {
		var op operation
		if err := json.Unmarshal(lines.Bytes(), &op); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, op)
		if op.Numbers != nil {
			if seen[op.Agent] == nil {
				seen[op.Agent] = map[int]bool{}
			}
			for _, n := range *op.Numbers {
				seen[op.Agent][n] = true
			}
		}
	}
	for _, op := range all {
		// Of what nobody knows the end of and nobody saw, it is as if it had not been done yet.
		if op.End == never && !seen[op.Agent][op.Number] {
			continue
		}
		end := op.End
		if end == never {
			end = math.MaxInt64
		}
		history = append(history, porcupine.Operation{
			ClientId: op.Client, Input: op, Call: op.Start, Output: op, Return: end,
		})
	}
	return history, lines.Err()
}

func main() {
	bad, operations := 0, 0
	for _, path := range os.Args[1:] {
		history, err := read(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		operations += len(history)
		if result := porcupine.CheckOperationsTimeout(model, history, judgingTime); result != porcupine.Ok {
			bad++
			fmt.Printf("%s: %s\n", path, result)
		}
	}
	fmt.Printf("porcupine: %d histories, %d operations, %d not linearizable\n", len(os.Args)-1, operations, bad)
	if bad > 0 {
		os.Exit(1)
	}
}
