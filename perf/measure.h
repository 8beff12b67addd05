// measure: the times and the verdict of one case.
//
// A sample is what lies between two readings of the clock, which cost about 50 ns together:
//  - a call that takes 5 us or more is timed by itself. Its whole input is written afresh before the clock starts, because
//    an input that nobody wrote since the last call still sits in every reader's cache and flatters;
//  - shorter calls are timed in batches of 20, with one element of the input changed before each call (within the timed
//    region; 1 or 2 ns). The whole input is written afresh before each batch.
// All ranks pass a barrier before each sample, and each reads its own clock. Which way is taken is agreed upon by all ranks
// from a trial after the warm-up. A rank's time is the mean over its samples; -a says how the ranks' times become one.
#pragma once
#include "perf/driver.h"

namespace tutti::perf {

struct Figures {
  double mean_us = 0, p50_us = 0, p99_us = 0;
};
struct Measured {
  Figures time;
  uint64_t wrong = 0;  // over all ranks and checked calls
};

// Collective over all drivers; every one gets the same answer, except with Average::Rank0: then it is right on rank 0.
Measured measure(Driver& driver, const Options& options, const Case& c);

}  // namespace tutti::perf
