#ifndef KVARTS_STORAGE_SORT_LOSER_TREE_H_
#define KVARTS_STORAGE_SORT_LOSER_TREE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvarts::sort_internal {

// Not thread-safe. A tree of losers over numbered sources (D. Knuth, The Art of Computer
// Programming 3, 5.4.1): the smallest comes out for one comparison a level. Each source
// stands in it with a word, 8 bytes of its key; `tie_less(a, b)` tells which source comes
// first where the words are equal, and puts sources that are at their end last.
class LoserTree {
 public:
  // Of a source at its end.
  static constexpr uint64_t kEnded = UINT64_MAX;

  void Reserve(size_t sources) { nodes_.reserve(2 * sources); }

  // Over sources 0 to n - 1, n > 0; word_of(source) is its word. Costs n - 1 comparisons.
  template <typename WordOf, typename TieLess>
  void Build(size_t n, const WordOf& word_of, const TieLess& tie_less) {
    sources_ = n;
    nodes_.assign(2 * n, Node());
    for (size_t i = 0; i < n; ++i) nodes_[n + i] = {word_of(i), i};
    const auto less = [&](const Node& a, const Node& b) {
      return a.word == b.word ? tie_less(a.source, b.source) : a.word < b.word;
    };
    // Winners go up; then each node keeps the child that lost.
    for (size_t i = n - 1; i > 0; --i) {
      nodes_[i] = less(nodes_[2 * i + 1], nodes_[2 * i]) ? nodes_[2 * i + 1] : nodes_[2 * i];
    }
    top_ = nodes_[1];
    for (size_t i = 1; i < n; ++i) {
      nodes_[i] = nodes_[i].source == nodes_[2 * i].source ? nodes_[2 * i + 1] : nodes_[2 * i];
    }
  }

  // The source that is the smallest, and its word.
  uint64_t source() const { return top_.source; }
  uint64_t word() const { return top_.word; }

  // source() has gone on, to a key with `word`. Returns how many comparisons it took.
  template <typename TieLess>
  size_t Replace(uint64_t word, const TieLess& tie_less) {
    Node winner = {word, top_.source};
    size_t compared = 0;
    for (size_t i = (sources_ + winner.source) / 2; i > 0; i /= 2) {
      const Node loser = nodes_[i];
      bool less = loser.word < winner.word;
      if (loser.word == winner.word) [[unlikely]] {
        less = tie_less(loser.source, winner.source);
      }
      nodes_[i].word = less ? winner.word : loser.word;
      nodes_[i].source = less ? winner.source : loser.source;
      winner.word = less ? loser.word : winner.word;
      winner.source = less ? loser.source : winner.source;
      ++compared;
    }
    top_ = winner;
    return compared;
  }

 private:
  struct Node {
    uint64_t word = 0;
    uint64_t source = 0;
  };

  size_t sources_ = 0;
  // Leaf i stands at sources_ + i; nodes_[1 .. sources_) hold the losers there.
  std::vector<Node> nodes_;
  Node top_;
};

}  // namespace kvarts::sort_internal

#endif  // KVARTS_STORAGE_SORT_LOSER_TREE_H_
