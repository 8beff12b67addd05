// builder: turns straight-line code into a schedule.
//
// Authors write sends, receives and copies in an order that is right when executed one by one; the builder numbers the
// messages and derives the dependencies from the chunks that steps read and write (read after write, write after read,
// write after write). With Problem::in_place, Input chunk c and Output chunk c count as the same memory.
#pragma once
#include "lib/sched/schedule.h"

namespace tutti {

class Builder {
 public:
  explicit Builder(const Problem& problem);

  // Call first. chunks: a multiple of blocks_of(). largest_message: chunks of the longest run any rank sends.
  void shape(uint32_t chunks, uint32_t scratch_copies = 0, uint32_t largest_message = 1);

  void send(int peer, Ref src, uint32_t chunks = 1, uint8_t channel = 0);
  void recv(int peer, Ref dst, uint32_t chunks = 1, uint8_t channel = 0);         // dst = message
  void recv_reduce(int peer, Ref dst, uint32_t chunks = 1, uint8_t channel = 0);  // dst = dst op message
  void copy(Ref src, Ref dst, uint32_t chunks = 1);                               // dst = src
  void reduce(Ref src, Ref dst, uint32_t chunks = 1);                             // dst = dst op src

  const Problem& problem() const { return problem_; }
  uint32_t chunks() const { return schedule_.chunks; }

  // The schedule; the builder is spent.
  Schedule finish();

 private:
  // Who touched a chunk last. Every reader depends on the writer before it, so a write that waits for the readers need not
  // name the writer.
  struct Touch {
    int64_t writer = -1;
    std::vector<uint32_t> readers;  // since that write
  };

  void add(Step step, bool reads_src, bool writes_dst);
  Touch& touched(Ref ref, uint32_t offset);
  void wait_for(Ref ref, uint32_t chunks, bool writes);

  const Problem& problem_;
  Schedule schedule_;
  std::vector<Touch> memory_[3];           // per buffer and chunk; with in_place Input is kept under Output
  std::vector<uint32_t> sent_, received_;  // messages so far, per peer and channel
  std::vector<uint32_t> found_;            // dependencies of the step being added
};

}  // namespace tutti
