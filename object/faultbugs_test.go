package object

import (
	"testing"
	"testing/synctest"
	"time"

	"shardraid/backends/backendtest"
)

// What faultkinds_test.go has found.

// Listings of m+1 backends are empty for once, as where they lag. The manifest on the others
// tells what should be there, and Get brings it back by name: then it is not absent.
func TestUnlistedIsNotAbsent(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	data := bytesOf(1, 5000)
	r.mustPut(testKey, data)
	for i := range 2 {
		r.faulty[i].Add(hideList())
	}
	r.mustGet(testKey, data)
	if here, err := r.Check(ctx, testKey, nil); !here && err == nil {
		t.Error("called absent, and Get has it")
	}
}

// Google Drive may list two files of one name, such as a whole one and one of a try that went
// wrong. Which of them a Get reads is open, so the shard is neither lost nor sure.
func TestTwoOfOneName(t *testing.T) {
	r := newRig(t, 2, 1, 3)
	r.mustPut(testKey, bytesOf(1, 5000))
	for i := range 2 {
		r.faulty[i].Add(backendtest.Fault{Op: "list", Do: backendtest.Duplicate(1)})
	}
	if here, err := r.Check(ctx, testKey, nil); !here && err == nil {
		t.Error("called absent, though it is listed whole")
	}
}

// A backend lists what it has and then says nothing when a record is read. Others have the
// record, so Get need not wait until the call is given up, a minute later or more.
func TestSilentRecordHoldsNobody(t *testing.T) {
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 2, 1, 3)
			r.mustPut(testKey, bytesOf(1, 5000))
			r.faulty[i].Add(backendtest.Fault{Op: "get", Match: inDirectory, Do: backendtest.Delay(time.Minute)})
			start := time.Now()
			r.mustGet(testKey, bytesOf(1, 5000))
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("Get waited %v for b%d", took, i)
			}
		})
	}
}
