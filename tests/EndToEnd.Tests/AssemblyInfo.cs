// Three clusters at a time: real processes wait for one another most of the time. Only "--long" holds them to how long
// anything takes, and runs them one at a time.
[assembly: CollectionBehavior(MaxParallelThreads = 3)]
