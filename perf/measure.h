// measure: the times and the verdict of one case.
//
// A sample is what lies between two readings of the clock, which cost about 50 ns together:
//  - a call on 32 KiB or more is timed by itself. Its whole input is written afresh before the clock starts, because
//    an input that nobody wrote since the last call still sits in every reader's cache and flatters;
//  - calls on less are timed in batches of 20, with one element of the input changed before each call (within the timed
//    region; 1 or 2 ns). The whole input is written afresh before each batch. Not where a call takes a millisecond, as all ranks
//    agree from a trial after the warm-up.
// All ranks pass a barrier before each sample, and each reads its own clock. The size decides, and not the time, so that a library
// is not favoured for being the faster one. A rank's time is the mean over its samples; -a says how the ranks' times become one.
#pragma once
#include "perf/driver.h"

namespace tutti::perf {

inline constexpr size_t kBatchedBelow = 32 << 10;  // bytes of a row
inline constexpr int kBatch = 20;

struct Figures {
  double mean_us = 0, p50_us = 0, p99_us = 0;
};
struct Measured {
  Figures time;
  uint64_t wrong = 0;  // over all ranks and checked calls
};

// Collective over all drivers; every one gets the same answer, except with Average::Rank0: then it is right on rank 0.
// bytes: of the row.
Measured measure(Driver& driver, const Options& options, const Case& c, size_t bytes);

}  // namespace tutti::perf
