// play: see play.h.
#include "tests/harness/play.h"

#include <sched.h>

#include <algorithm>

namespace tutti::test {

Player::Player(Rank& reporter, std::vector<Member> members, int ranks)
    : reporter_(reporter), members_(std::move(members)), ranks_(ranks) {}

Player::~Player() = default;

tuttiStream_t Player::stream(int index) {
  if (index < 0) return nullptr;
  auto& stream = streams_[index];
  if (!stream) {
    tuttiStream_t made = nullptr;
    reporter_.check(tuttiStreamCreate(&made), "tuttiStreamCreate");
    stream.reset(made);
  }
  return stream.get();
}

void Player::drain(int index, bool by_polling) {
  const tuttiStream_t it = stream(index);
  tuttiResult_t state = tuttiInProgress;
  while (by_polling && (state = tuttiStreamQuery(it)) == tuttiInProgress) sched_yield();
  if (by_polling) reporter_.check(state, "tuttiStreamQuery");
  reporter_.check(tuttiStreamSynchronize(it), "tuttiStreamSynchronize");
  reporter_.check(tuttiStreamQuery(it), "tuttiStreamQuery after tuttiStreamSynchronize");
}

void Player::play(std::span<const Case> batch, bool grouped) {
  reporter_.note(std::to_string(batch.size()) + (grouped ? " grouped cases from " : " cases from ") + describe(batch[0]));
  const bool several = members_.size() > 1;
  std::vector<std::unique_ptr<Part>> parts;
  for (const Case& c : batch)
    for (const Member& member : members_) parts.push_back(std::make_unique<Part>(c, member.rank, ranks_));

  if (grouped) reporter_.check(tuttiGroupStart(), "tuttiGroupStart");
  size_t next = 0;
  for (const Case& c : batch) {
    if (several) reporter_.check(tuttiGroupStart(), "tuttiGroupStart");
    for (const Member& member : members_) parts[next++]->issue(member.comm, stream(c.stream));
    if (several) reporter_.check(tuttiGroupEnd(), "tuttiGroupEnd");
  }
  if (grouped) reporter_.check(tuttiGroupEnd(), "tuttiGroupEnd");

  for (const auto& [index, unused] : streams_) drain(index, batch[0].seed & 1);
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i]->check();
    if (batch[i / members_.size()].kind != Kind::AllReduce) continue;
    const size_t first = i - i % members_.size();
    if (i == first) reporter_.record(parts[i]->checksum());
    expect(parts[i]->checksum() == parts[first]->checksum(),
           "ranks of one thread differ after " + describe(batch[i / members_.size()]));
  }
  played_ += batch.size();
}

Case random_case(uint64_t seed, Kind kind, int ranks, size_t count) {
  uint64_t draws = 0;
  const auto draw = [&](uint64_t below) { return hash(seed, 0xd1ce, ++draws) % below; };
  Case c;
  c.kind = kind;
  c.seed = seed;
  c.count = count;
  c.type = static_cast<tuttiDataType_t>(draw(tuttiNumTypes));
  c.op = has_op(kind) ? static_cast<int>(draw(kOps)) : 0;
  c.root = has_root(kind) ? static_cast<int>(draw(static_cast<uint64_t>(ranks))) : 0;
  switch (draw(3)) {  // nobody, everybody, some
    case 0: c.in_place = 0; break;
    case 1: c.in_place = ~0u; break;
    default: c.in_place = static_cast<uint32_t>(draw(uint64_t{1} << 32));
  }
  c.send_shift = static_cast<int>(draw(4));
  c.recv_shift = static_cast<int>(draw(4));
  c.exact = draw(2);
  // Nobody's, everybody's, or some ranks' memory.
  const uint64_t announced = draw(8);
  c.announced = announced < 5 ? 0 : announced == 5 ? static_cast<uint32_t>(hash(c.seed, 0xa)) : ~0u;
  c.variant = static_cast<int>(kind == Kind::SendRecv ? draw(3) : draw(4));
  return c;
}

std::string compare_records(const Outcome& outcome) {
  for (size_t rank = 1; rank < outcome.ranks.size(); ++rank) {
    const auto &first = outcome.ranks[0].records, &other = outcome.ranks[rank].records;
    if (first == other) continue;
    const size_t at = static_cast<size_t>(
        std::mismatch(first.begin(), first.begin() + static_cast<ptrdiff_t>(std::min(first.size(), other.size())),
                      other.begin())
            .first -
        first.begin());
    return "ranks 0 and " + std::to_string(rank) + " differ in record " + std::to_string(at) + " of " +
           std::to_string(first.size()) + " and " + std::to_string(other.size());
  }
  return "";
}

}  // namespace tutti::test
