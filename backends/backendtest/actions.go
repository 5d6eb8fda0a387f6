package backendtest

import (
	"slices"
	"time"
)

// NamedAction is an Action that a chooser can draw.
type NamedAction struct {
	Name string
	Do   Action
	// Waits is set where the call ends only with its context, or after a long time.
	Waits bool
	// Lies is set where the answer is not an honest failure: something else was stored, read
	// or listed than the answer says.
	Lies bool
}

// Actions returns all that can be done to an operation ("put", "get", "list", "remove" or
// "free"), always in the same order.
func Actions(op string) []NamedAction {
	all := slices.Concat(failures, lies[op])
	return slices.DeleteFunc(all, func(a NamedAction) bool { return !a.Do.suits(op) })
}

// failures suit any operation.
var failures = []NamedAction{
	{Name: "error", Do: ErrorInstead(ErrBroken)},
	{Name: "answer lost", Do: ErrorAfter(ErrBroken)},
	{Name: "throttled", Do: Throttle(0)},
	{Name: "throttled for 30 s", Do: Throttle(30 * time.Second)},
	{Name: "login lost", Do: ErrorInstead(ErrLogin)},
	{Name: "slow", Do: Delay(time.Second)},
	{Name: "very slow", Do: Delay(time.Hour), Waits: true},
	{Name: "byte a second", Do: Trickle(), Waits: true},
	{Name: "hang", Do: Hang(), Waits: true},
	{Name: "wrong account", Do: Elsewhere(), Lies: true},
}

// lies are what else suits one operation.
var lies = map[string][]NamedAction{
	"put": {
		{Name: "full", Do: ErrorInstead(Full())},
		{Name: "full after 100 bytes", Do: Break(100, Full())},
		{Name: "broken at the first byte", Do: Break(0, ErrBroken)},
		{Name: "broken at the last byte", Do: Break(-1, ErrBroken)},
		{Name: "empty file", Do: Truncate(0), Lies: true},
		{Name: "cut off", Do: Truncate(100), Lies: true},
		{Name: "last byte cut off", Do: Truncate(-1), Lies: true},
		{Name: "too long", Do: Longer(1), Lies: true},
		{Name: "bit flip", Do: FlipBit(), Lies: true},
		{Name: "dropped", Do: Drop(), Lies: true},
		{Name: "lands after 1 call", Do: Later(1), Lies: true},
		{Name: "lands after 5 calls", Do: Later(5), Lies: true},
		{Name: "lands after 25 calls", Do: Later(25), Lies: true},
		{Name: "not in 1 listing", Do: Lag(1), Lies: true},
		{Name: "not in 3 listings", Do: Lag(3), Lies: true},
	},
	"get": {
		{Name: "not found", Do: NotFound(), Lies: true},
		{Name: "broken at the first byte", Do: Break(0, ErrBroken)},
		{Name: "broken at byte 100", Do: Break(100, ErrBroken)},
		{Name: "nothing read", Do: Short(0), Lies: true},
		{Name: "short", Do: Short(100), Lies: true},
		{Name: "last byte missing", Do: Short(-1), Lies: true},
		{Name: "too long", Do: Longer(1), Lies: true},
		{Name: "bit flip", Do: FlipBit(), Lies: true},
		{Name: "garbage", Do: garbage, Lies: true},
		{Name: "another file", Do: Swap(), Lies: true},
	},
	"list": {
		{Name: "empty", Do: Empty(), Lies: true},
		{Name: "stale", Do: StaleList(), Lies: true},
		{Name: "each twice", Do: Duplicate(0), Lies: true},
		{Name: "each twice, once too long", Do: Duplicate(1), Lies: true},
		{Name: "in reverse", Do: Reverse()},
	},
	"remove": {
		{Name: "not found", Do: NotFound(), Lies: true},
		{Name: "dropped", Do: Drop(), Lies: true},
		{Name: "happens after 5 calls", Do: Later(5), Lies: true},
		{Name: "happens after 25 calls", Do: Later(25), Lies: true},
	},
	"free": {
		{Name: "no room", Do: Room(0), Lies: true},
		{Name: "room without end", Do: Room(1 << 60), Lies: true},
	},
}
