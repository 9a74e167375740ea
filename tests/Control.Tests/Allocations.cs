namespace Krewe.Control.Tests;

/// <summary>What code allocates on the thread that runs it.</summary>
internal static class Allocations
{
    /// <summary>
    /// Bytes that <paramref name="code"/> allocates. A collection meanwhile, for another test's sake, counts what the
    /// thread's own allocation buffer had left as if it had been allocated: then the code runs again.
    /// </summary>
    public static long Of(Action code, int runs = 5)
    {
        var least = long.MaxValue;
        for (var run = 0; run < runs && least > 0; run++)
        {
            var (collections, before) = (GC.CollectionCount(0), GC.GetAllocatedBytesForCurrentThread());
            code();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            if (GC.CollectionCount(0) == collections) break;
        }

        return least;
    }
}
