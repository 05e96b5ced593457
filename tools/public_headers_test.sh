#!/bin/bash
# public_headers_test.sh HEADER...: where the compiler is told to take an older C++ than
# the headers need, each says so in one error, whatever else would be wrong with it. That
# they compile as what they need is shown before, by the libraries in the data of the test.
result=0
for header; do
  said=$(echo "#include \"$header\"" | g++ -x c++ -std=c++14 -fsyntax-only -iquote . - 2>&1)
  # The second is the one that ends the compilation.
  if [[ $said != *'error: #error "kvarts needs C++17 or newer'* ]] ||
    [ "$(grep -c 'error: ' <<<"$said")" != 2 ]; then
    echo "$header: expected one #error about C++17, and not:"
    head -20 <<<"$said"
    result=1
  fi
done
exit $result
