using static Krewe.Control.Metrics.MetricKind;

namespace Krewe.Control.Metrics;

/// <summary>Facts of any process, under the names that every Prometheus knows.</summary>
public static class ProcessMetric
{
    public static MetricInfo Cpu { get; } = new(
        "process_cpu_seconds_total", Counter, "CPU time of the process, user and system.");

    public static MetricInfo Memory { get; } = new(
        "process_resident_memory_bytes", Gauge, "Resident memory of the process; a slow rise over days is a leak.");

    public static MetricInfo HeapSize { get; } = new(
        "krewe_gc_heap_bytes", Gauge, "Managed heap after the last collection.");

    public static MetricInfo GcPause { get; } = new(
        "krewe_gc_pause_seconds_total", Counter, "Time that all threads stood still for garbage collections.");

    public static IReadOnlyList<MetricInfo> All { get; } = [Cpu, Memory, HeapSize, GcPause];
}
