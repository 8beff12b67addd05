// faulty: see faulty.h.
#include "lib/transport/faulty.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

namespace tutti {
namespace {

struct Faults {
  uint64_t seed = 1, delay = 0, reorder = 0, press = 0, break_at = 0;
};

Result<Faults> parse_faults(const std::string& text) {
  Faults faults;
  const std::map<std::string, uint64_t*> names{{"seed", &faults.seed}, {"delay", &faults.delay}, {"reorder", &faults.reorder},
                                               {"press", &faults.press}, {"break", &faults.break_at}};
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    const auto found = names.find(word.substr(0, equals));
    char* end = nullptr;
    const std::string digits = equals == std::string::npos ? "" : word.substr(equals + 1);
    const uint64_t value = std::strtoull(digits.c_str(), &end, 10);
    const bool percent = found != names.end() && found->first != "seed" && found->first != "break";
    if (found == names.end() || digits.empty() || *end != '\0' || (percent && value > 99))
      return fail(Code::InvalidArgument, "'", word,
                  "' is not one of seed=N, delay=P, reorder=P, press=P, break=N with P in 0..99");
    *found->second = value;
  }
  return faults;
}

class Faulty;

class FaultyEndpoint final : public Endpoint, public MappedEndpoint {
 public:
  FaultyEndpoint(Faulty& transport, Endpoint& inner)
      : MappedEndpoint(inner.mapped() ? inner.mapped()->least_bytes() : 0), transport_(transport), inner_(inner), mapped_(inner.mapped()) {}
  Progress post(Outgoing& outgoing, const Wire& wire) override;
  Progress receive(Incoming& incoming) override;
  void offer(Incoming& incoming) override { inner_.offer(incoming); }
  Way way(size_t bytes) const override { return mapped_->way(bytes); }
  std::byte* claim(const Wire& wire, size_t bytes) override;
  void deliver(Outgoing& outgoing, const Wire& wire) override;
  bool shows(const void* memory) const override { return mapped_->shows(memory); }
  bool begin(Incoming& incoming) override { return mapped_->begin(incoming); }
  MappedEndpoint* mapped() override { return mapped_ ? this : nullptr; }
  void release(Incoming& incoming) override { inner_.release(incoming); }
  Status failure() const override;

 private:
  Faulty& transport_;
  Endpoint& inner_;
  MappedEndpoint* const mapped_;  // the inner one's; null: none
  std::map<std::pair<uint8_t, uint32_t>, uint32_t> unseen_;  // (channel, number) -> looks still to come
};

class Faulty final : public Transport {
 public:
  Faulty(std::unique_ptr<Transport> inner, const Faults& faults, int rank, int ranks)
      : inner_(std::move(inner)), faults_(faults), ranks_(ranks), random_(faults.seed * 1000003 + static_cast<uint64_t>(rank)) {}

  const char* name() const override { return inner_->name(); }
  bool lands() const override { return inner_->lands(); }
  bool copies() const override { return inner_->copies(); }
  Result<std::string> address() override { return inner_->address(); }
  Status connect(std::span<const std::string> addresses, Deadline deadline) override {
    TUTTI_TRY(inner_->connect(addresses, deadline));
    endpoints_.reserve(ranks_);
    for (int peer = 0; peer < ranks_; ++peer) endpoints_.emplace_back(*this, inner_->endpoint(peer));
    return {};
  }
  Reach reach(int peer) const override { return inner_->reach(peer); }
  Endpoint& endpoint(int peer) override { return endpoints_[peer]; }
  void expose(std::span<std::byte> memory) override { inner_->expose(memory); }
  void withdraw(std::span<std::byte> memory) override { inner_->withdraw(memory); }
  void progress() override { inner_->progress(); }
  void arm() override { inner_->arm(); }
  // What was hidden from the executor makes no descriptor readable when it appears: never sleep long.
  int64_t may_sleep() override { return std::min<int64_t>(inner_->may_sleep(), 100'000); }
  void add_descriptors(std::vector<pollfd>& polls) const override { inner_->add_descriptors(polls); }
  void disarm() override { inner_->disarm(); }
  void wake() override { inner_->wake(); }
  Progress flushed() override { return inner_->flushed(); }
  Status leave(Deadline deadline, std::vector<Untaken>& untaken) override { return inner_->leave(deadline, untaken); }
  void quiesce() override { inner_->quiesce(); }

 private:
  friend class FaultyEndpoint;
  bool chance(uint64_t percent) { return percent > 0 && random_() % 100 < percent; }
  bool broken() const { return faults_.break_at > 0 && posts_ >= faults_.break_at; }

  std::unique_ptr<Transport> inner_;
  const Faults faults_;
  const int ranks_;
  std::mt19937_64 random_;
  uint64_t posts_ = 0;
  std::vector<FaultyEndpoint> endpoints_;
};

Progress FaultyEndpoint::post(Outgoing& outgoing, const Wire& wire) {
  if (transport_.broken()) return Progress::Failed;
  if (transport_.chance(transport_.faults_.press)) return Progress::Again;
  const Progress progress = inner_.post(outgoing, wire);
  if (progress == Progress::Done) ++transport_.posts_;
  return progress;
}

std::byte* FaultyEndpoint::claim(const Wire& wire, size_t bytes) {
  return transport_.broken() || transport_.chance(transport_.faults_.press) ? nullptr : mapped_->claim(wire, bytes);
}

void FaultyEndpoint::deliver(Outgoing& outgoing, const Wire& wire) {
  mapped_->deliver(outgoing, wire);
  ++transport_.posts_;
}

Progress FaultyEndpoint::receive(Incoming& incoming) {
  if (transport_.broken()) return Progress::Failed;
  if (transport_.faults_.reorder > 0) {
    const std::pair<uint8_t, uint32_t> key{incoming.wire.channel, incoming.wire.number};
    auto [entry, first_look] = unseen_.try_emplace(key, 0);
    if (first_look && transport_.chance(transport_.faults_.reorder))
      entry->second = 1 + static_cast<uint32_t>(transport_.random_() % 64);
    if (entry->second > 0) {
      --entry->second;
      return Progress::Again;
    }
  }
  if (transport_.chance(transport_.faults_.delay)) return Progress::Again;
  const Progress progress = inner_.receive(incoming);
  if (progress == Progress::Done) unseen_.erase({incoming.wire.channel, incoming.wire.number});
  return progress;
}

Status FaultyEndpoint::failure() const {
  if (transport_.broken())
    return fail(Code::RemoteError, "the connection broke (injected by TUTTI_FAULT after ", transport_.posts_, " messages)");
  return inner_.failure();
}

}  // namespace

Status check_faults(const std::string& text) { return parse_faults(text).status(); }

Result<std::unique_ptr<Transport>> make_faulty(std::unique_ptr<Transport> inner, const std::string& text, int rank, int ranks) {
  if (text.empty()) return inner;
  Result<Faults> faults = parse_faults(text);
  if (!faults.ok()) return faults.status();
  return std::unique_ptr<Transport>(new Faulty(std::move(inner), faults.value(), rank, ranks));
}

}  // namespace tutti
