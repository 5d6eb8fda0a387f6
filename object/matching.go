package object

import "slices"

// match gives each shard a backend of its own among its options, as many as
// possible get one (augmenting paths, Kuhn 1955). It returns -1 for those that
// get none. Two shards on one backend are lost with it: they count as one.
func match(options [][]int) []int {
	taken := map[int]int{} // backend -> shard
	var try func(shard int, seen map[int]bool) bool
	try = func(shard int, seen map[int]bool) bool {
		for _, b := range options[shard] {
			if seen[b] {
				continue
			}
			seen[b] = true
			if other, ok := taken[b]; !ok || try(other, seen) {
				taken[b] = shard
				return true
			}
		}
		return false
	}
	for shard := range options {
		try(shard, map[int]bool{})
	}
	got := slices.Repeat([]int{-1}, len(options))
	for b, shard := range taken {
		got[shard] = b
	}
	return got
}

// matched matches the shards of a segment with the backends where one of the
// places that records name passes.
func (s *Store) matched(inc *incarnation, segment int, pass func(at place) bool) []int {
	shards := inc.manifest.Segments[segment].Shards
	options := make([][]int, len(shards))
	for j := range shards {
		places := s.places(inc, segment, j)
		for _, at := range places {
			if pass(at) {
				options[j] = addBackend(options[j], at.backend)
			}
		}
	}
	return match(options)
}
