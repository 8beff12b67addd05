// driver: one thread and the ranks it drives: communicators, buffers, and one call made on all of them.
//
// Every rank has two buffers of the largest size. Out of place the first is the input and the second the output; in place
// the second holds both. Each allocation ends in a guard, so that a write past the output is seen. A failed call throws
// Failure with a sentence; the communicators are then good for nothing but the program's end.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "perf/collective.h"
#include "perf/options.h"
#include "perf/values.h"
#include "tools/failure.h"
#include "tools/launch/launch.h"

namespace tutti::perf {

// What is measured: one row of the table, one half of it.
struct Case {
  tuttiDataType_t type;
  tuttiRedOp_t op;
  int root;
  size_t count;  // of the call
  bool in_place;
};

// Page-aligned memory, plain or from tuttiMemAlloc.
class Memory {
 public:
  Memory(size_t bytes, bool shareable);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_;
  bool shareable_;
};

class Driver {
 public:
  // Collective over all drivers of the job: joins the communicator.
  Driver(const Options& options, const Collective& collective, const tool::Job& job, int thread);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  int ranks() const { return ranks_; }
  int first_rank() const { return first_rank_; }

  // Makes `c` the case that the methods below are about. Everything that a call needs is prepared here.
  void select(const Case& c);
  void write_inputs(uint32_t iteration);
  // Changes one element of each input, another one for each `number`, by swapping it with its neighbour: values stay legal.
  void touch_inputs(size_t number);
  void poison_outputs();
  // One call, or `times` calls in a group, on all ranks of this driver. finish() must follow before results are used.
  void call(int times = 1);
  void finish();
  // Elements that are wrong on this driver's ranks; a changed input and a write past the output count too.
  size_t count_wrong(uint32_t iteration) const;

  void barrier();
  // Replaces the values with their sum, min or max over all ranks; every rank of this driver gives the same.
  void combine(std::vector<double>& values, tuttiRedOp_t op);
  // Every rank's text (63 bytes of it), in rank order.
  std::vector<std::string> gather_texts(const std::vector<std::string>& mine);

 private:
  struct Rank {
    int number = 0;
    tuttiComm_t comm = nullptr;
    tuttiStream_t stream = nullptr;
    std::unique_ptr<Memory> first, second;
    std::vector<void*> registrations;
    // In the selected case:
    Call call{};
    std::byte *input = nullptr, *output = nullptr;
    size_t input_count = 0, output_count = 0;
    std::byte* output_limit() const { return second->data() + second->bytes(); }
  };
  void join(const tool::Job& job);
  void allocate(Rank& rank);
  template <typename F>
  void on_all(const char* what, F one);

  const Options& options_;
  const Collective& collective_;
  int ranks_, first_rank_;
  std::vector<Rank> mine_;
  Case case_{};
  size_t element_ = 0;  // bytes
  std::unique_ptr<Values> values_;
};

}  // namespace tutti::perf
