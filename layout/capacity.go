package layout

import "sort"

// Capacity returns how many bytes of files fit on backends with so much free,
// each in a domain: of n = data+parity shards every backend gets one at most,
// and every domain as many as may be lost.
//
// Shards of s bytes each, of all files together, fit if the domains take n*s:
// a backend takes its free bytes or s, a domain what its backends take or
// parity*s, whichever is less (R. McNaughton, Scheduling with deadlines and loss
// functions, 1959: a shard may go on at the beginning of the next backend).
func Capacity(free []int64, domains []string, data, parity int) int64 {
	takes := func(s int64) (sum int64) {
		perDomain := map[string]int64{}
		for i, f := range free {
			perDomain[domains[i]] += min(f, s)
		}
		for _, bytes := range perDomain {
			sum += min(bytes, int64(parity)*s)
		}
		return sum
	}
	var all int64
	for _, f := range free {
		all += f
	}
	n := int64(data + parity)
	// What fits at s fits below: the first that does not is sought.
	s := int64(sort.Search(int(all/n)+1, func(s int) bool { return takes(int64(s)+1) < n*(int64(s)+1) }))
	return s * int64(data)
}
