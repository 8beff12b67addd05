// page: see page.h. Texts that come again and again are written once, in "texts", and referred to by number.
#include "tools/page/page.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "tools/markup.h"

namespace tutti::show {
namespace {

using Json = nlohmann::ordered_json;

class Texts {
 public:
  size_t number(const std::string& text) {
    const auto [it, fresh] = known_.try_emplace(text, known_.size());
    if (fresh) list_.push_back(text);
    return it->second;
  }
  const Json& list() const { return list_; }

 private:
  std::unordered_map<std::string, size_t> known_;
  Json list_ = Json::array();
};

// To a picosecond, or a millionth of a step.
double rounded(double time) { return std::round(time * 1e6) / 1e6; }

Json percents(const std::vector<double>& shares) {
  Json list = Json::array();
  for (const double share : shares) list.push_back(std::lround(100 * share));
  return list;
}

Json ranks_of(const Timeline& timeline, Texts& texts) {
  Json ranks = Json::array();
  for (size_t rank = 0; rank < timeline.ranks.size(); ++rank) {
    Json spans = Json::array();
    for (const Timeline::Span& span : timeline.ranks[rank].spans)
      spans.push_back({rounded(span.begin), rounded(span.end), span.kind, span.amount, texts.number(span.name), texts.number(span.note)});
    const std::string& name = timeline.ranks[rank].name;
    ranks.push_back({{"name", name.empty() ? "rank " + std::to_string(rank) : name},
                     {"place", timeline.ranks[rank].place},
                     {"spans", std::move(spans)},
                     {"busy", percents(timeline.ranks[rank].busy)}});
  }
  return ranks;
}

}  // namespace

std::string json_of(const Timeline& timeline) {
  Texts texts;
  Json facts = Json::array(), places = Json::array(), messages = Json::array(), links = Json::array();
  for (const auto& [name, value] : timeline.facts) facts.push_back({name, value});
  for (const Timeline::Place& place : timeline.places) places.push_back({{"name", place.name}, {"parent", place.parent}});
  Json ranks = ranks_of(timeline, texts);
  for (const Timeline::Message& message : timeline.messages)
    messages.push_back({message.from, message.to, rounded(message.begin), rounded(message.end), message.network ? 1 : 0, message.amount,
                        texts.number(message.way), texts.number(message.note)});
  for (const Timeline::Link& link : timeline.links)
    links.push_back({{"name", link.name},
                     {"level", link.level},
                     {"place", link.place},
                     {"rank", link.rank},
                     {"out", link.out},
                     {"bytesPerSecond", link.bytes_per_s},
                     {"bytes", link.bytes},
                     {"load", percents(link.load)}});
  const Json json = {{"title", timeline.title},
                     {"facts", facts},
                     {"unit", timeline.unit == Timeline::Unit::Steps ? "step" : "us"},
                     {"amount", timeline.amount_unit},
                     {"end", rounded(timeline.end)},
                     {"completeUntil", rounded(timeline.complete_until)},
                     {"slot", rounded(timeline.slot)},
                     {"kinds", timeline.kinds},
                     {"idle", timeline.idle},
                     {"texts", texts.list()},
                     {"places", places},
                     {"ranks", ranks},
                     {"messages", messages},
                     {"links", links}};
  // File names may be any bytes: they must not throw.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string page_of(const Timeline& timeline) {
  std::string json;
  for (const char c : json_of(timeline)) json += c == '<' ? std::string("\\u003c") : std::string(1, c);  // or "</script>" would end it
  // Cut at the marks before anything is put in: what users wrote may look like a mark.
  const std::string page = kPage, title_mark = "{{title}}", data_mark = "{{timeline}}";
  const size_t title = page.find(title_mark), data = page.find(data_mark, title);
  const size_t behind_title = title + title_mark.size();
  return page.substr(0, title) + tool::escaped(timeline.title) + page.substr(behind_title, data - behind_title) + json +
         page.substr(data + data_mark.size());
}

}  // namespace tutti::show
