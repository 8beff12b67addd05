// driver: see driver.h.
#include "perf/driver.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace tutti::perf {

using namespace tool;

namespace {

constexpr size_t kGuardBytes = 4096;
constexpr int kPoison = 0xa5;

// The store happens even if a == b: it is what takes the line away from its readers.
template <typename T>
void swap_elements(std::byte* buffer, size_t a, size_t b) {
  volatile T* const elements = reinterpret_cast<T*>(buffer);
  const T kept = elements[a];
  elements[a] = elements[b];
  elements[b] = kept;
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
  if (shareable_)
    (void)tuttiMemFree(data_);
  else
    munmap(data_, bytes_);
}

Driver::Driver(const Options& options, const Collective& collective, const Job& job, int thread)
    : options_(options),
      collective_(collective),
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

void Driver::select(const Case& c) {
  if (!values_ || case_.type != c.type || case_.op != c.op)
    values_ = std::make_unique<Values>(c.type, !collective_.reduces, c.op, ranks_);
  case_ = c;
  element_ = size_of(c.type);
  for (Rank& rank : mine_) {
    const Who who{rank.number, ranks_, c.root};
    const Shape s = collective_.shape(c.count, who);
    std::byte* const second = rank.second->data();
    rank.input = c.in_place ? second + s.send_at * element_ : rank.first->data();
    rank.output = c.in_place ? second + s.recv_at * element_ : second;
    rank.input_count = s.send_count;
    rank.output_count = s.recv_count;
    rank.call = {rank.input, rank.output, c.count, c.type, c.op, who, rank.comm, rank.stream};
  }
}

// One call on every rank of this thread: in a group if there are several, or they would wait for one another.
template <typename F>
void Driver::on_all(const char* what, F one) {
  if (mine_.size() == 1) return check(one(mine_.front()), what, first_rank_);
  check(tuttiGroupStart(), "tuttiGroupStart", first_rank_);
  for (Rank& rank : mine_) check(one(rank), what, rank.number);
  check(tuttiGroupEnd(), what, first_rank_);
}

void Driver::write_inputs(uint32_t iteration) {
  for (const Rank& rank : mine_) values_->generate(rank.input, iteration, rank.number, 0, rank.input_count);
}

void Driver::touch_inputs(size_t number) {
  for (const Rank& rank : mine_) {
    if (rank.input_count == 0) continue;
    // Steps of 17 elements come round to every cache line.
    const size_t a = number * 17 % rank.input_count, b = a + 1 < rank.input_count ? a + 1 : 0;
    switch (element_) {
      case 1: swap_elements<uint8_t>(rank.input, a, b); break;
      case 2: swap_elements<uint16_t>(rank.input, a, b); break;
      case 4: swap_elements<uint32_t>(rank.input, a, b); break;
      default: swap_elements<uint64_t>(rank.input, a, b);
    }
  }
}

void Driver::poison_outputs() {
  for (const Rank& rank : mine_) {
    // In place the input lies there and is to be found intact.
    std::byte* const input_end = rank.input + rank.input_count * element_;
    std::byte* const from = case_.in_place ? std::max(input_end, rank.output) : rank.output;
    const size_t area = std::max(rank.input_count, rank.output_count) * element_ + kGuardBytes;
    std::memset(from, kPoison, std::min(area, static_cast<size_t>(rank.output_limit() - from)));
    if (case_.in_place && rank.input > rank.output)
      std::memset(rank.output, kPoison, static_cast<size_t>(rank.input - rank.output));
  }
}

void Driver::call(int times) {
  const auto one = [&](Rank& rank) { return collective_.call(rank.call); };
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

size_t Driver::count_wrong(uint32_t iteration) const {
  size_t wrong = 0;
  for (const Rank& rank : mine_) {
    for (const Piece& piece : collective_.expect(case_.count, rank.call.who)) {
      const std::byte* const at = rank.output + piece.out_first * element_;
      wrong += piece.source == kAllRanks ? values_->wrong_reductions(at, iteration, piece.in_first, piece.count)
                                         : values_->wrong_copies(at, iteration, piece.source, piece.in_first, piece.count);
    }
    if (case_.in_place) continue;
    wrong += values_->wrong_copies(rank.input, iteration, rank.number, 0, rank.input_count);
    const std::byte* const guard = rank.output + rank.output_count * element_;
    const std::byte* const guard_end = std::min<const std::byte*>(guard + kGuardBytes, rank.output_limit());
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
