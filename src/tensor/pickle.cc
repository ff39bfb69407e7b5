// SPDX-License-Identifier: Apache-2.0
// The opcodes are described in Python's Lib/pickletools.py.
#include "tensor/pickle.h"

#include <map>
#include <utility>

#include "octconv/base/error.h"
#include "tensor/element_type.h"

namespace octconv {
namespace {

using Kind = PickleObject::Kind;

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  Pickle run() {
    for (;;) {
      const auto opcode = number<std::uint8_t>();
      if (opcode == '.') break;
      step(opcode);
    }
    pickle_.root = pop();
    return std::move(pickle_);
  }

 private:
  [[noreturn]] static void fail(const std::string& why) {
    throw FormatError("its pickle is damaged: " + why);
  }

  // ---- Bytes

  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size()) fail("it is truncated");
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  template <class T>
  T number() {
    return load_bytes<T>(take(sizeof(T)).data());
  }
  std::string line() {
    const std::size_t end = bytes_.find('\n');
    if (end == std::string_view::npos) fail("it is truncated");
    std::string text(take(end));
    take(1);
    return text;
  }

  // ---- The stack

  PickleObject* make(Kind kind) {
    pickle_.objects.push_back(std::make_unique<PickleObject>());
    pickle_.objects.back()->kind = kind;
    return pickle_.objects.back().get();
  }
  PickleObject* push(Kind kind) {
    stack_.push_back(make(kind));
    return stack_.back();
  }
  void push_integer(std::int64_t value) { push(Kind::kInteger)->integer = value; }
  void push_text(std::string_view text) { push(Kind::kText)->text = text; }
  PickleObject* top() {
    if (stack_.empty() || stack_.back()->kind == Kind::kMark) fail("an operand is missing");
    return stack_.back();
  }
  PickleObject* pop() {
    PickleObject* object = top();
    stack_.pop_back();
    return object;
  }
  // What lies above the last mark; the mark goes too.
  std::vector<const PickleObject*> pop_to_mark() {
    std::size_t mark = stack_.size();
    while (mark > 0 && stack_[mark - 1]->kind != Kind::kMark) --mark;
    if (mark == 0) fail("a mark is missing");
    std::vector<const PickleObject*> items(stack_.begin() + static_cast<std::ptrdiff_t>(mark),
                                           stack_.end());
    stack_.resize(mark - 1);
    return items;
  }
  void push_tuple(std::size_t count) {
    std::vector<const PickleObject*> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    push(Kind::kTuple)->items = std::move(items);
  }
  void append(const std::vector<const PickleObject*>& items) {
    PickleObject* object = top();
    object->items.insert(object->items.end(), items.begin(), items.end());
  }
  void append_pairs(const std::vector<const PickleObject*>& items) {
    if (items.size() % 2 != 0) fail("a key has no value");
    append(items);
  }

  void remember(std::uint64_t place) { memo_[place] = top(); }
  void recall(std::uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) fail("an object is missing");
    stack_.push_back(found->second);
  }

  // ---- Calls, none of which is made

  void global(const std::string& module, const std::string& name) {
    push(Kind::kGlobal)->text = module + "." + name;
  }

  void reduce() {
    const PickleObject* arguments = pop();
    const PickleObject* callable = pop();
    if (callable->kind == Kind::kGlobal && callable->text == "collections.OrderedDict") {
      push(Kind::kDictionary);
      return;
    }
    push(Kind::kReduced)->items = {callable, arguments};
  }

  void step(std::uint8_t opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        if (number<std::uint8_t>() > 5) fail("its protocol is not known");
        return;
      case 0x95:  // FRAME
        number<std::uint64_t>();
        return;
      case 'N':   // NONE
      case 0x8f:  // EMPTY_SET
        push(Kind::kOther);
        return;
      case 'G':  // BINFLOAT
        take(8);
        push(Kind::kOther);
        return;
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        return push_integer(opcode == 0x88 ? 1 : 0);
      case 'J':
        return push_integer(number<std::int32_t>());
      case 'K':
        return push_integer(number<std::uint8_t>());
      case 'M':
        return push_integer(number<std::uint16_t>());
      case 0x8a:  // LONG1
        return push_long(take(number<std::uint8_t>()));
      case 'X':  // BINUNICODE, BINBYTES, BINSTRING
      case 'B':
      case 'T':
        return push_text(take(number<std::uint32_t>()));
      case 0x8c:  // the same, short
      case 'C':
      case 'U':
        return push_text(take(number<std::uint8_t>()));
      case '}':
        push(Kind::kDictionary);
        return;
      case ']':
      case ')':
        push(Kind::kTuple);
        return;
      case '(':
        push(Kind::kMark);
        return;
      case 't':
      case 'l': {
        std::vector<const PickleObject*> items = pop_to_mark();
        push(Kind::kTuple)->items = std::move(items);
        return;
      }
      case 'd': {
        const std::vector<const PickleObject*> items = pop_to_mark();
        push(Kind::kDictionary);
        return append_pairs(items);
      }
      case 0x85:
      case 0x86:
      case 0x87:  // TUPLE1 to TUPLE3
        return push_tuple(opcode - 0x84U);
      case 'a': {
        const PickleObject* item = pop();
        return append({item});
      }
      case 'e':
      case 0x90:  // APPENDS, ADDITEMS
        return append(pop_to_mark());
      case 's': {
        const PickleObject* value = pop();
        const PickleObject* key = pop();
        return append_pairs({key, value});
      }
      case 'u':
        return append_pairs(pop_to_mark());
      case 'c': {
        const std::string module = line();
        return global(module, line());
      }
      case 0x93: {  // STACK_GLOBAL
        const PickleObject* name = pop();
        return global(pop()->text, name->text);
      }
      case 'R':   // REDUCE
      case 0x81:  // NEWOBJ
        return reduce();
      case 'b':  // BUILD: attributes of an object, which no tensor needs
        pop();
        top();
        return;
      case 'Q': {  // BINPERSID
        const PickleObject* id = pop();
        push(Kind::kPersistent)->items = {id};
        return;
      }
      case '0':
        pop();
        return;
      case '2':  // DUP
        stack_.push_back(top());
        return;
      case 'q':
        return remember(number<std::uint8_t>());
      case 'r':
        return remember(number<std::uint32_t>());
      case 0x94:  // MEMOIZE
        return remember(memo_.size());
      case 'h':
        return recall(number<std::uint8_t>());
      case 'j':
        return recall(number<std::uint32_t>());
      default:
        throw Unsupported("its pickle has opcode " + std::to_string(opcode) +
                          ", which torch.save does not write");
    }
  }

  // Little-endian, in as few bytes as it takes; nothing here needs more than eight.
  void push_long(std::string_view digits) {
    if (digits.size() > sizeof(std::int64_t)) {
      push(Kind::kOther);
      return;
    }
    std::uint64_t value = !digits.empty() && (digits.back() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = digits.size(); i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(digits[i]);
    push_integer(static_cast<std::int64_t>(value));
  }

  std::string_view bytes_;
  Pickle pickle_;
  std::vector<PickleObject*> stack_;
  std::map<std::uint64_t, PickleObject*> memo_;
};

}  // namespace

Pickle read_pickle(std::string_view bytes) {
  return Reader(bytes).run();
}

}  // namespace octconv
