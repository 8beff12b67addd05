// cases: see cases.h.
#include "tests/harness/cases.h"

#include <algorithm>
#include <cstring>
#include <sstream>

#include "tests/harness/ranks.h"

namespace tutti::test {
namespace {

constexpr size_t kGuard = 64;

constexpr const char* kNames[] = {"AllReduce", "Reduce",    "ReduceScatter", "ReduceScatterV", "Broadcast",
                                  "Bcast",     "AllGather", "AlltoAll",      "Gather",         "Scatter",
                                  "SendRecv",  "Barrier",   "AllGatherV",    "AlltoAllV"};
static_assert(std::size(kNames) == kKinds);

size_t number(int value) { return static_cast<size_t>(value); }

std::unique_ptr<std::byte[], void (*)(std::byte*)> allocate(size_t bytes, bool from_library) {
  if (!from_library) return {new std::byte[bytes], [](std::byte* memory) { delete[] memory; }};
  void* memory = nullptr;
  expect(tuttiMemAlloc(&memory, bytes) == tuttiSuccess, "tuttiMemAlloc failed");
  return {static_cast<std::byte*>(memory), [](std::byte* one) { (void)tuttiMemFree(one); }};
}

}  // namespace

const char* name_of(Kind kind) { return kNames[static_cast<size_t>(kind)]; }

bool has_root(Kind kind) {
  return kind == Kind::Reduce || kind == Kind::Broadcast || kind == Kind::Bcast || kind == Kind::Gather ||
         kind == Kind::Scatter || kind == Kind::SendRecv;
}

std::string describe(const Case& c) {
  std::ostringstream out;
  out << name_of(c.kind) << ' ' << name_of(c.type);
  if (has_op(c.kind)) out << ' ' << name_of_op(c.op) << (c.exact ? " exact" : "");
  out << " count " << c.count;
  if (has_root(c.kind)) out << " root " << c.root;
  out << " in-place " << std::hex << c.in_place << std::dec << " shifts " << c.send_shift << ',' << c.recv_shift
      << (c.announced ? " announced " : "") << (c.announced ? std::to_string(c.announced) : "") << " variant " << c.variant << " stream " << c.stream << " seed " << c.seed;
  return out.str();
}

Guarded::Guarded(size_t bytes, int shift, bool from_library, uint64_t seed)
    : start_(kGuard + number(shift)),
      size_(bytes),
      whole_(start_ + bytes + kGuard),
      memory_(allocate(whole_, from_library)) {
  for (size_t i = 0; i < whole_; i += 8) {
    const uint64_t poison = hash(seed, i);
    std::memcpy(&memory_[i], &poison, std::min<size_t>(8, whole_ - i));
  }
  remember();
}

void Guarded::remember() {
  before_.assign(memory_.get(), memory_.get() + whole_);
}

void Guarded::allow(size_t offset, size_t bytes) {
  std::copy_n(&memory_[start_ + offset], bytes, &before_[start_ + offset]);
}

std::string Guarded::changed() const {
  const auto place = std::mismatch(before_.begin(), before_.end(), memory_.get()).first;
  if (place == before_.end()) return "";
  return "byte " + std::to_string(place - before_.begin() - static_cast<ptrdiff_t>(start_)) + " of " +
         std::to_string(size_) + " was changed and must not be";
}

Part::Part(const Case& c, int rank, int ranks)
    : case_(c),
      rank_(rank),
      ranks_(ranks),
      bytes_(size_of(c.type)),
      fill_(has_op(c.kind) ? fill_for(c.type, c.op, c.exact) : Fill::Bits) {
  plan();
  allocate();
}

void Part::fail(const std::string& text, tuttiResult_t result) const {
  throw Failure{"rank " + std::to_string(rank_) + " of " + std::to_string(ranks_) + ", " + describe(case_) + ": " + text, result};
}

void Part::need(tuttiResult_t result) const {
  if (result != tuttiSuccess) fail(std::string(tuttiGetErrorString(result)) + ": " + tuttiGetLastError(nullptr), result);
}

void Part::remember() {
  for (Guarded* memory : {send_memory_.get(), recv_memory_.get()})
    if (memory) memory->remember();
}

std::string Part::changed() const {
  for (const Guarded* memory : {send_memory_.get(), recv_memory_.get()})
    if (std::string change = memory ? memory->changed() : ""; !change.empty()) return describe(case_) + ": " + change;
  return "";
}

size_t Part::pairs_count(int from, int to) const {
  return hash(case_.seed, 0xa11 + number(from), number(to)) % (2 * case_.count + 1);
}

void Part::plan() {
  const size_t c = case_.count, n = number(ranks_), me = number(rank_);
  const bool root = rank_ == case_.root, wants = case_.in_place >> rank_ & 1, bare = case_.variant & 1;
  const auto from_all = [&](size_t first) { blocks_.push_back({0, first, kReduced, 0}); };
  sends_ = receives_ = true;
  switch (case_.kind) {
    case Kind::AllReduce:
      send_count_ = recv_count_ = c;
      in_place_ = wants;
      from_all(c);
      break;
    case Kind::Reduce:
      send_count_ = recv_count_ = c;
      in_place_ = wants && root;
      receives_ = root || !bare;
      if (root) from_all(c);
      break;
    case Kind::ReduceScatter:
      send_count_ = n * c;
      recv_count_ = c;
      in_place_ = wants;
      recv_at_ = me * c;
      blocks_.push_back({0, c, kReduced, me * c});
      break;
    case Kind::Broadcast:
    case Kind::Bcast:
      send_count_ = recv_count_ = c;
      in_place_ = case_.kind == Kind::Bcast || (wants && root);
      sends_ = root || !bare;
      blocks_.push_back({0, c, case_.root, 0});
      break;
    case Kind::AllGather:
      send_count_ = c;
      recv_count_ = n * c;
      in_place_ = wants;
      send_at_ = me * c;
      for (size_t r = 0; r < n; ++r) blocks_.push_back({r * c, c, static_cast<int>(r), 0});
      break;
    case Kind::AlltoAll:
      send_count_ = recv_count_ = n * c;
      in_place_ = wants;
      for (size_t r = 0; r < n; ++r) blocks_.push_back({r * c, c, static_cast<int>(r), me * c});
      break;
    case Kind::Gather:
      send_count_ = c;
      recv_count_ = root ? n * c : c;
      in_place_ = wants && root;
      send_at_ = me * c;
      receives_ = root || !bare;
      for (size_t r = 0; root && r < n; ++r) blocks_.push_back({r * c, c, static_cast<int>(r), 0});
      break;
    case Kind::Scatter:
      send_count_ = root ? n * c : c;
      recv_count_ = c;
      in_place_ = wants && root;
      recv_at_ = me * c;
      sends_ = root || !bare;
      blocks_.push_back({0, c, case_.root, me * c});
      break;
    case Kind::SendRecv: plan_send_recv(); break;
    case Kind::Barrier: sends_ = receives_ = false; break;
    default: plan_vector();
  }
  if (c == 0 && bare) sends_ = receives_ = in_place_ = false;
}

void Part::plan_vector() {
  const size_t n = number(ranks_), me = number(rank_);
  const bool gaps = case_.variant & 2;
  // Where blocks of these counts start; the end of the last one.
  const auto lay_out = [&](const std::vector<size_t>& counts, std::vector<size_t>& starts, bool with_gaps, uint64_t salt) {
    size_t end = 0;
    for (size_t r = 0; r < n; ++r) {
      if (with_gaps) end += hash(case_.seed ^ salt, 0x9a9, r) % 5;
      starts.push_back(end);
      end += counts[r];
    }
    return end;
  };
  if (case_.kind == Kind::AlltoAllV) {
    for (size_t r = 0; r < n; ++r) {
      send_counts_.push_back(pairs_count(rank_, static_cast<int>(r)));
      counts_.push_back(pairs_count(static_cast<int>(r), rank_));
    }
    send_count_ = lay_out(send_counts_, send_starts_, gaps, me);
    recv_count_ = lay_out(counts_, starts_, gaps, me + 100);
    for (size_t r = 0; r < n; ++r) {
      // Where the other rank has put what it sends here.
      size_t first = 0;
      for (size_t d = 0; d <= me; ++d) {
        if (gaps) first += hash(case_.seed ^ r, 0x9a9, d) % 5;
        if (d < me) first += pairs_count(static_cast<int>(r), static_cast<int>(d));
      }
      blocks_.push_back({starts_[r], counts_[r], static_cast<int>(r), first});
    }
    return;
  }
  for (size_t r = 0; r < n; ++r) counts_.push_back(pairs_count(static_cast<int>(r), 0));
  in_place_ = case_.in_place >> rank_ & 1;
  if (case_.kind == Kind::AllGatherV) {
    recv_count_ = lay_out(counts_, starts_, gaps, 0);
    send_count_ = counts_[me];
    send_at_ = starts_[me];
    for (size_t r = 0; r < n; ++r) blocks_.push_back({starts_[r], counts_[r], static_cast<int>(r), 0});
  } else {
    send_count_ = lay_out(counts_, starts_, false, 0);
    recv_count_ = counts_[me];
    recv_at_ = starts_[me];
    blocks_.push_back({0, counts_[me], kReduced, starts_[me]});
  }
}

void Part::plan_send_recv() {
  const size_t c = case_.count, n = number(ranks_), me = number(rank_);
  if (case_.variant == 0) {  // case_.root is how far
    send_count_ = recv_count_ = c;
    blocks_.push_back({0, c, (rank_ + ranks_ - case_.root) % ranks_, 0});
  } else if (case_.variant == 1) {
    send_count_ = recv_count_ = 2 * n * c;
    for (size_t r = 0; r < n; ++r) blocks_.push_back({2 * r * c, 2 * c, static_cast<int>(r), 2 * me * c});
  } else {
    sends_ = rank_ == case_.root;
    receives_ = rank_ == (case_.root + 1) % ranks_;
    send_count_ = recv_count_ = c;
    if (receives_) blocks_.push_back({0, c, case_.root, 0});
  }
}

void Part::allocate() {
  if (in_place_) {
    const size_t elements = std::max(send_at_ + send_count_, recv_at_ + recv_count_);
    recv_memory_ =
        std::make_unique<Guarded>(elements * bytes_, case_.recv_shift, announced(), hash(case_.seed, number(rank_), 2));
    send_ = recv_memory_->data() + send_at_ * bytes_;
    recv_ = recv_memory_->data() + recv_at_ * bytes_;
  } else {
    if (sends_) {
      send_memory_ = std::make_unique<Guarded>(send_count_ * bytes_, case_.send_shift, announced(),
                                               hash(case_.seed, number(rank_), 1));
      send_ = send_memory_->data();
    }
    if (receives_) {
      recv_memory_ = std::make_unique<Guarded>(recv_count_ * bytes_, case_.recv_shift, announced(),
                                               hash(case_.seed, number(rank_), 2));
      recv_ = recv_memory_->data();
    }
  }
  // Bcast beyond the root has nothing to say.
  if (send_ && (case_.kind != Kind::Bcast || rank_ == case_.root))
    write_input(send_, case_.type, fill_, case_.seed, rank_, 0, send_count_);
  if (send_memory_) send_memory_->remember();
  if (recv_memory_) recv_memory_->remember();
}

void Part::issue(tuttiComm_t comm, tuttiStream_t stream) {
  comm_ = comm;
  for (Guarded* memory : {send_memory_.get(), recv_memory_.get()}) {
    if (!announced() || !memory || memory->size() == 0) continue;
    regions_.push_back(nullptr);
    need(tuttiCommRegister(comm, memory->data(), memory->size(), &regions_.back()));
  }
  if (has_op(case_.kind) && case_.op == kPreMulSum) {
    const bool late = case_.variant & 2;
    write_scalar(scalar_, case_.type, case_.seed, rank_, case_.exact);
    tuttiRedOp_t op;
    need(tuttiRedOpCreatePreMulSum(&op, scalar_, case_.type, late ? tuttiScalarDevice : tuttiScalarHostImmediate, comm));
    user_op_ = op;
    if (!late) std::memset(scalar_, 0xa5, sizeof scalar_);
  }
  call(comm, stream);
}

void Part::call(tuttiComm_t comm, tuttiStream_t stream) {
  const tuttiRedOp_t op = static_cast<tuttiRedOp_t>(user_op_ >= 0 ? user_op_ : case_.op);
  const size_t c = case_.count;
  const tuttiDataType_t type = case_.type;
  const bool gaps = case_.variant & 2;
  switch (case_.kind) {
    case Kind::AllReduce: return need(tuttiAllReduce(send_, recv_, c, type, op, comm, stream));
    case Kind::Reduce: return need(tuttiReduce(send_, recv_, c, type, op, case_.root, comm, stream));
    case Kind::ReduceScatter: return need(tuttiReduceScatter(send_, recv_, c, type, op, comm, stream));
    case Kind::ReduceScatterV: return need(tuttiReduceScatterV(send_, recv_, counts_.data(), type, op, comm, stream));
    case Kind::Broadcast: return need(tuttiBroadcast(send_, recv_, c, type, case_.root, comm, stream));
    case Kind::Bcast: return need(tuttiBcast(recv_, c, type, case_.root, comm, stream));
    case Kind::AllGather: return need(tuttiAllGather(send_, recv_, c, type, comm, stream));
    case Kind::AlltoAll: return need(tuttiAlltoAll(send_, recv_, c, type, comm, stream));
    case Kind::Gather: return need(tuttiGather(send_, recv_, c, type, case_.root, comm, stream));
    case Kind::Scatter: return need(tuttiScatter(send_, recv_, c, type, case_.root, comm, stream));
    case Kind::SendRecv: return call_send_recv(comm, stream);
    case Kind::Barrier: return need(tuttiBarrier(comm, stream));
    case Kind::AllGatherV:
      return need(tuttiAllGatherV(send_, recv_, counts_.data(), gaps ? starts_.data() : nullptr, type, comm, stream));
    case Kind::AlltoAllV:
      return need(tuttiAlltoAllV(send_, send_counts_.data(), gaps ? send_starts_.data() : nullptr, recv_, counts_.data(),
                                 gaps ? starts_.data() : nullptr, type, comm, stream));
  }
}

void Part::call_send_recv(tuttiComm_t comm, tuttiStream_t stream) {
  const size_t c = case_.count;
  const tuttiDataType_t type = case_.type;
  const bool grouped = case_.variant != 2 || ranks_ == 1;
  if (grouped) need(tuttiGroupStart());
  if (case_.variant == 1) {
    for (int k = 0; k < ranks_; ++k) {
      const int peer = (rank_ + k) % ranks_;
      for (size_t m = 0; m < 2; ++m) {
        const size_t offset = (2 * number(peer) + m) * c * bytes_;
        need(tuttiSend(send_ ? send_ + offset : nullptr, c, type, peer, comm, stream));
        need(tuttiRecv(recv_ ? recv_ + offset : nullptr, c, type, peer, comm, stream));
      }
    }
  } else {
    const int far = case_.variant == 0 ? case_.root : 1;
    if (case_.variant == 0 || rank_ == case_.root) need(tuttiSend(send_, c, type, (rank_ + far) % ranks_, comm, stream));
    if (case_.variant == 0 || rank_ == (case_.root + 1) % ranks_)
      need(tuttiRecv(recv_, c, type, (rank_ + ranks_ - far) % ranks_, comm, stream));
  }
  if (grouped) need(tuttiGroupEnd());
}

void Part::check() {
  for (void* region : regions_) need(tuttiCommDeregister(comm_, region));
  if (user_op_ >= 0) need(tuttiRedOpDestroy(static_cast<tuttiRedOp_t>(user_op_), comm_));
  for (const Block& block : blocks_) {
    if (!recv_ || block.count == 0) continue;
    const std::byte* got = recv_ + block.at * bytes_;
    const std::string wrong =
        block.from == kReduced
            ? compare_reduced({case_.type, case_.op, ranks_, case_.seed, case_.exact}, block.first, block.count, got)
            : compare_copied(case_.type, fill_, case_.seed, block.from, block.first, block.count, got);
    if (!wrong.empty()) fail("block at " + std::to_string(block.at) + ": " + wrong);
    recv_memory_->allow(static_cast<size_t>(got - recv_memory_->data()), block.count * bytes_);
  }
  if (recv_memory_)
    if (const std::string wrong = recv_memory_->changed(); !wrong.empty()) fail("receive buffer: " + wrong);
  if (send_memory_)
    if (const std::string wrong = send_memory_->changed(); !wrong.empty()) fail("send buffer: " + wrong);
}

uint64_t Part::checksum() const {
  uint64_t sum = case_.count;
  for (size_t i = 0; recv_ && i < case_.count * bytes_; ++i) sum = sum * 0x100000001b3 ^ static_cast<uint64_t>(recv_[i]);
  return sum;
}

}  // namespace tutti::test
