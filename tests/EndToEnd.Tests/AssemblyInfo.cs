// Real processes under real time limits: one at a time, or they measure each other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
