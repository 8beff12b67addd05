// driver: see driver.h.
#include "perf/driver.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace tutti::perf {
namespace {

constexpr size_t kGuardBytes = 4096;
constexpr int kPoison = 0xa5;

void check(tuttiResult_t result, const char* what, int rank) {
  if (result == tuttiSuccess) return;
  const std::string sentence = tuttiGetLastError(nullptr);
  throw Failure("rank " + std::to_string(rank) + ": " + what + ": " +
                (sentence.empty() ? tuttiGetErrorString(result) : sentence));
}

}  // namespace

Memory::Memory(size_t bytes, bool shareable) : bytes_(bytes), shareable_(shareable) {
  void* memory = nullptr;
  if (shareable) {
    check(tuttiMemAlloc(&memory, bytes), "tuttiMemAlloc", -1);
  } else {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw Failure("no memory for a buffer of " + std::to_string(bytes) + " bytes");
  }
  data_ = static_cast<std::byte*>(memory);
}

Memory::~Memory() {
  if (shareable_) (void)tuttiMemFree(data_);
  else munmap(data_, bytes_);
}

Driver::Driver(const Options& options, const Collective& collective, const Job& job, int thread)
    : options_(options), collective_(collective),
      ranks_(job.processes * options.threads * options.ranks_per_thread),
      first_rank_((job.process * options.threads + thread) * options.ranks_per_thread) {
  mine_.resize(static_cast<size_t>(options.ranks_per_thread));
  for (size_t i = 0; i < mine_.size(); ++i) mine_[i].number = first_rank_ + static_cast<int>(i);
  join(job);
  for (Rank& rank : mine_) {
    if (!options.stream_null) check(tuttiStreamCreate(&rank.stream), "tuttiStreamCreate", rank.number);
    allocate(rank);
  }
}

Driver::~Driver() {
  for (Rank& rank : mine_) {
    if (rank.stream) (void)tuttiStreamDestroy(rank.stream);
    for (void* handle : rank.registrations) (void)tuttiCommDeregister(rank.comm, handle);
    if (rank.comm) (void)tuttiCommDestroy(rank.comm);
  }
}

void Driver::join(const Job& job) {
  if (mine_.size() > 1 && ranks_ == static_cast<int>(mine_.size())) {
    std::vector<tuttiComm_t> comms(mine_.size());
    check(tuttiCommInitAll(comms.data(), ranks_, nullptr), "tuttiCommInitAll", first_rank_);
    for (size_t i = 0; i < mine_.size(); ++i) mine_[i].comm = comms[i];
    return;
  }
  on_all("tuttiCommInitRank", [&](Rank& rank) { return tuttiCommInitRank(&rank.comm, ranks_, job.id, rank.number); });
}

void Driver::allocate(Rank& rank) {
  size_t first = 0, second = 0;
  for (const tuttiDataType_t type : options_.types) {
    const size_t element = size_of(type);
    const size_t count = options_.max_bytes / element / (collective_.per_block ? static_cast<size_t>(ranks_) : 1);
    for (const int root : {rank.number, (rank.number + 1) % ranks_}) {
      const Shape s = collective_.shape(count, {rank.number, ranks_, root});
      first = std::max(first, s.send_count * element);
      second = std::max({second, (s.recv_at + s.recv_count) * element, (s.send_at + s.send_count) * element});
    }
  }
  const bool shareable = options_.registration > 0;
  rank.first = std::make_unique<Memory>(first + kGuardBytes, shareable);
  rank.second = std::make_unique<Memory>(second + kGuardBytes, shareable);
  if (!shareable) return;
  for (const Memory* memory : {rank.first.get(), rank.second.get()}) {
    void* handle = nullptr;
    check(tuttiCommRegister(rank.comm, memory->data(), memory->bytes(), &handle), "tuttiCommRegister", rank.number);
    rank.registrations.push_back(handle);
  }
}

Driver::View Driver::view(const Rank& rank, const Case& c) const {
  const Shape s = collective_.shape(c.count, who(rank, c.root));
  const size_t element = size_of(c.type);
  std::byte* const second = rank.second->data();
  std::byte* const input = c.in_place ? second + s.send_at * element : rank.first->data();
  std::byte* const output = c.in_place ? second + s.recv_at * element : second;
  return {input, output, s.send_count, s.recv_count, second + rank.second->bytes()};
}

const Values& Driver::values(const Case& c) const {
  if (!values_ || values_type_ != c.type || values_op_ != c.op) {
    values_ = std::make_unique<Values>(c.type, !collective_.reduces, c.op, ranks_);
    values_type_ = c.type;
    values_op_ = c.op;
  }
  return *values_;
}

// One call on every rank of this thread: in a group if there are several, or they would wait for one another.
template <typename F>
void Driver::on_all(const char* what, F one) {
  if (mine_.size() == 1) return check(one(mine_.front()), what, first_rank_);
  check(tuttiGroupStart(), "tuttiGroupStart", first_rank_);
  for (Rank& rank : mine_) check(one(rank), what, rank.number);
  check(tuttiGroupEnd(), what, first_rank_);
}

void Driver::write_inputs(const Case& c, uint32_t iteration) {
  for (const Rank& rank : mine_) {
    const View v = view(rank, c);
    values(c).generate(v.input, iteration, rank.number, 0, v.input_count);
  }
}

void Driver::touch_inputs(const Case& c, size_t number) {
  const size_t element = size_of(c.type);
  for (const Rank& rank : mine_) {
    const View v = view(rank, c);
    if (v.input_count < 2) continue;
    // Steps of 17 elements come round to every cache line.
    const size_t a = number * 17 % v.input_count, b = (a + 1) % v.input_count;
    std::array<std::byte, 8> kept;
    std::memcpy(kept.data(), v.input + a * element, element);
    std::memmove(v.input + a * element, v.input + b * element, element);
    std::memcpy(v.input + b * element, kept.data(), element);
  }
}

void Driver::poison_outputs(const Case& c) {
  for (const Rank& rank : mine_) {
    const View v = view(rank, c);
    // In place the input lies there and is to be found intact.
    std::byte* const from = c.in_place ? std::max(v.input + v.input_count * size_of(c.type), v.output) : v.output;
    const size_t area = std::max(v.input_count, v.output_count) * size_of(c.type) + kGuardBytes;
    std::memset(from, kPoison, std::min(area, static_cast<size_t>(v.output_end - from)));
    if (c.in_place && v.input > v.output) std::memset(v.output, kPoison, static_cast<size_t>(v.input - v.output));
  }
}

void Driver::call(const Case& c, int times) {
  const auto one = [&](Rank& rank) {
    const View v = view(rank, c);
    return collective_.call({v.input, v.output, c.count, c.type, c.op, who(rank, c.root), rank.comm, rank.stream});
  };
  if (times == 1) {
    on_all(collective_.name, one);
  } else {
    check(tuttiGroupStart(), "tuttiGroupStart", first_rank_);
    for (int i = 0; i < times; ++i) on_all(collective_.name, one);
    check(tuttiGroupEnd(), collective_.name, first_rank_);
  }
  if (options_.blocking) finish();
}

void Driver::finish() {
  if (options_.stream_null) return;
  for (Rank& rank : mine_) check(tuttiStreamSynchronize(rank.stream), collective_.name, rank.number);
}

size_t Driver::count_wrong(const Case& c, uint32_t iteration) const {
  const size_t element = size_of(c.type);
  size_t wrong = 0;
  for (const Rank& rank : mine_) {
    const View v = view(rank, c);
    const Values& expected = values(c);
    for (const Piece& piece : collective_.expect(c.count, who(rank, c.root))) {
      const std::byte* const at = v.output + piece.out_first * element;
      wrong += piece.source == kAllRanks ? expected.wrong_reductions(at, iteration, piece.in_first, piece.count)
                                         : expected.wrong_copies(at, iteration, piece.source, piece.in_first, piece.count);
    }
    if (c.in_place) continue;
    wrong += expected.wrong_copies(v.input, iteration, rank.number, 0, v.input_count);
    const std::byte* const guard = v.output + v.output_count * element;
    const std::byte* const guard_end = std::min<const std::byte*>(guard + kGuardBytes, v.output_end);
    wrong += static_cast<size_t>(std::count_if(guard, guard_end, [](std::byte b) { return b != std::byte{kPoison}; }));
  }
  return wrong;
}

void Driver::barrier() {
  on_all("tuttiBarrier", [](Rank& rank) { return tuttiBarrier(rank.comm, nullptr); });
}

void Driver::combine(std::vector<double>& values, tuttiRedOp_t op) {
  const std::vector<double> given = values;
  std::vector<std::vector<double>> results(mine_.size(), values);
  on_all("tuttiAllReduce", [&](Rank& rank) {
    return tuttiAllReduce(given.data(), results[static_cast<size_t>(rank.number - first_rank_)].data(), given.size(),
                          tuttiFloat64, op, rank.comm, nullptr);
  });
  values = results.front();
}

std::vector<std::string> Driver::gather_texts(const std::vector<std::string>& mine) {
  using Text = std::array<char, 64>;
  std::vector<Text> given(mine_.size(), Text{});
  for (size_t i = 0; i < given.size(); ++i) mine[i].copy(given[i].data(), given[i].size() - 1);
  std::vector<std::vector<Text>> results(mine_.size(), std::vector<Text>(static_cast<size_t>(ranks_)));
  on_all("tuttiAllGather", [&](Rank& rank) {
    const auto i = static_cast<size_t>(rank.number - first_rank_);
    return tuttiAllGather(given[i].data(), results[i].data(), sizeof(Text), tuttiInt8, rank.comm, nullptr);
  });
  std::vector<std::string> texts;
  for (const Text& text : results.front()) texts.emplace_back(text.data());
  return texts;
}

}  // namespace tutti::perf
