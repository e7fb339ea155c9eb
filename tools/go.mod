module github.com/watchbill/watchbill/tools

go 1.26.8
