// draw: see draw.h.
#include "tests/world/draw.h"

namespace tutti::test::world {
namespace {

std::vector<size_t> draw_counts(Dice& dice, size_t number, bool alike) {
  const auto one = [&]() -> size_t {
    if (dice.chance(15)) return 0;
    if (dice.chance(10)) return static_cast<size_t>(dice.between(1000, 5000));
    return static_cast<size_t>(dice.spread(1, dice.chance(70) ? 60 : 4000));
  };
  std::vector<size_t> counts(number, one());
  if (!alike)
    for (size_t& count : counts) count = one();
  return counts;
}

}  // namespace

Places draw_places(Dice& dice) {
  const int number = dice.chance(80) ? dice.between(1, 6) : dice.between(7, 16);
  std::vector<int> hosts;
  std::string sizes;
  const unsigned joined = dice.one_of(std::vector<unsigned>{0, 50, 100});
  int host = 0, here = 0;
  for (int rank = 0; rank < number; ++rank) {
    if (rank > 0 && !dice.chance(joined)) {
      sizes += concat(sizes.empty() ? "" : "+", here);
      here = 0;
      ++host;
    }
    hosts.push_back(host);
    ++here;
  }
  sizes += concat(sizes.empty() ? "" : "+", here);
  return {hosts, host == 0 ? Topology::flat(number) : Topology::synthetic(concat("host:", host + 1, " core:", sizes)).value()};
}

Call draw_call(Dice& dice, const Places& places) {
  const int number = places.ranks();
  Call call;
  for (;;) {
    call.collective = static_cast<Collective>(dice.below(kCollectives));
    call.root = has_root(call.collective) ? static_cast<int>(dice.below(static_cast<uint64_t>(number))) : 0;
    const bool blocks = blocks_of(call.collective, 2) > 1;
    call.uniform = !blocks || dice.chance(60);
    call.paired = !call.uniform && call.collective == Collective::AlltoAll;
    std::vector<const Algorithm*> able;
    for (const Algorithm& algorithm : all_algorithms())
      if (algorithm.applies({call.collective, call.root, 0, number, false, call.uniform, places.topology})) able.push_back(&algorithm);
    if (able.empty()) continue;
    call.algorithm = dice.one_of(able);
    break;
  }
  const bool may_be_in_place = call.algorithm->applies({call.collective, call.root, 0, number, true, call.uniform, places.topology});
  for (int rank = 0; rank < number; ++rank)
    call.in_place.push_back(may_be_in_place && (!has_root(call.collective) || rank == call.root) && dice.chance(50));
  call.type = static_cast<tuttiDataType_t>(dice.below(kTypes));
  if (reduces(call.collective)) call.op = static_cast<int>(dice.below(kOps));
  call.exact = number <= 8 && dice.chance(50);
  call.streaming = dice.chance(30);
  const size_t n = static_cast<size_t>(number);
  call.counts = draw_counts(dice, call.paired ? n * n : blocks_of(call.collective, number), call.uniform);
  return call;
}

std::string text_of(const Call& call) {
  return concat(call.algorithm->name, " ", name_of(call.collective), " ", test::name_of(call.type),
                reduces(call.collective) ? concat(" ", test::name_of_op(call.op)) : "",
                has_root(call.collective) ? concat(" root ", call.root) : "",
                call.uniform ? concat(" count ", call.counts[0]) : " of unequal blocks");
}

}  // namespace tutti::test::world
