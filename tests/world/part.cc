// part: see part.h.
#include "tests/world/part.h"

#include <algorithm>
#include <numeric>

namespace tutti::test::world {
namespace {

constexpr size_t kGuard = 64;  // bytes before and after a buffer
constexpr std::byte kUntouched{0x5a}, kSpoiled{0xdd};

std::vector<size_t> starts_of(const std::vector<size_t>& counts) {
  std::vector<size_t> starts(counts.size());
  std::exclusive_scan(counts.begin(), counts.end(), starts.begin(), size_t{0});
  return starts;
}

size_t total(const std::vector<size_t>& counts) { return std::accumulate(counts.begin(), counts.end(), size_t{0}); }

bool untouched(const std::byte* from, const std::byte* to) {
  return std::all_of(from, to, [](std::byte one) { return one == kUntouched; });
}

}  // namespace

void Part::Memory::make(size_t size_given, size_t shift) {
  size = size_given;
  bytes.assign(size + 2 * kGuard + shift, kUntouched);
  data = bytes.data() + kGuard + shift;
}

bool Part::Memory::guards_hold() const {
  return untouched(bytes.data(), data) && untouched(data + size, bytes.data() + bytes.size());
}

Part::Part(const Call& call, int rank, int ranks, Dice& dice)
    : call_(call), rank_(rank), ranks_(ranks), bytes_(test::size_of(call.type)), in_place_(call.in_place[static_cast<size_t>(rank)]) {
  const size_t me = static_cast<size_t>(rank), n = static_cast<size_t>(ranks);
  if (call.paired) {
    for (size_t peer = 0; peer < n; ++peer) {
      in_counts_.push_back(call.counts[me * n + peer]);
      out_counts_.push_back(call.counts[peer * n + me]);
    }
  } else {
    in_counts_ = out_counts_ = call.counts;
  }
  in_starts_ = starts_of(in_counts_);
  out_starts_ = starts_of(out_counts_);
  const size_t in_elements = own_block_in() ? in_counts_[me] : total(in_counts_);
  const size_t out_elements = own_block_out() ? out_counts_[me] : total(out_counts_);
  if (in_place_) {
    out_.make(std::max(in_elements, out_elements) * bytes_, dice.below(8));
    input_ = output_ = out_.data;
    if (own_block_in()) input_ += out_starts_[me] * bytes_;
    if (own_block_out()) output_ += in_starts_[me] * bytes_;
  } else {
    if (holds_input()) in_.make(in_elements * bytes_, dice.below(8));
    if (holds_output()) out_.make(out_elements * bytes_, dice.below(8));
    input_ = in_.data;
    output_ = out_.data;
  }
  if (holds_input()) write_input(input_, call.type, call.fill(), call.seed, rank, 0, in_elements);
  before_ = in_.bytes;
}

void Part::aim(Operation& operation) const {
  const size_t me = static_cast<size_t>(rank_);
  operation.input = reinterpret_cast<uintptr_t>(input_) - (own_block_in() ? in_starts_[me] * bytes_ : 0);
  operation.output = reinterpret_cast<uintptr_t>(output_) - (own_block_out() ? out_starts_[me] * bytes_ : 0);
  if (call_.paired || !call_.uniform) {
    operation.input_layout = {0, in_counts_, in_starts_};
    operation.output_layout = {0, out_counts_, out_starts_};
  } else {
    operation.input_layout.count = operation.output_layout.count = call_.counts[0];
  }
}

std::string Part::check() const {
  if ((in_.data && !in_.guards_hold()) || (out_.data && !out_.guards_hold())) return "the bytes around a buffer have changed";
  if (in_.bytes != before_) return "the input has changed";
  if (!holds_output()) return "";
  const size_t me = static_cast<size_t>(rank_), n = static_cast<size_t>(ranks_);
  const Reduction reduction{call_.type, call_.op, ranks_, call_.seed, call_.exact};
  const auto copied = [&](int from, size_t first, size_t count, const std::byte* got) {
    return compare_copied(call_.type, call_.fill(), call_.seed, from, first, count, got);
  };
  switch (call_.collective) {
    case Collective::AllReduce:
    case Collective::Reduce: return compare_reduced(reduction, 0, call_.counts[0], output_);
    case Collective::ReduceScatter: return compare_reduced(reduction, in_starts_[me], in_counts_[me], output_);
    case Collective::Broadcast: return copied(call_.root, 0, call_.counts[0], output_);
    case Collective::Scatter: return copied(call_.root, in_starts_[me], in_counts_[me], output_);
    default: break;
  }
  for (int from = 0; from < ranks_; ++from) {
    const size_t f = static_cast<size_t>(from);
    size_t first = 0;  // of the sender's elements
    if (call_.collective == Collective::AlltoAll)
      for (size_t to = 0; to < me; ++to) first += call_.paired ? call_.counts[f * n + to] : call_.counts[to];
    if (const std::string wrong = copied(from, first, out_counts_[f], output_ + out_starts_[f] * bytes_); !wrong.empty())
      return concat("from rank ", from, ": ", wrong);
  }
  return "";
}

std::string Part::check_and_spoil() {
  const std::string wrong = check();
  for (Memory* const memory : {&in_, &out_}) std::fill(memory->bytes.begin(), memory->bytes.end(), kSpoiled);
  spoiled_in_ = in_.bytes;
  spoiled_out_ = out_.bytes;
  return wrong;
}

std::string Part::changed() const {
  if (spoiled_in_.empty() && spoiled_out_.empty()) return "";
  return in_.bytes != spoiled_in_ || out_.bytes != spoiled_out_ ? "a buffer was written to after the call" : "";
}

}  // namespace tutti::test::world
