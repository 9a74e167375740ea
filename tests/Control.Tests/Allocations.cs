namespace Krewe.Control.Tests;

/// <summary>What code allocates on the thread that runs it.</summary>
internal static class Allocations
{
    /// <summary>
    /// Bytes that <paramref name="code"/> allocates each time: the least of some runs, which end with the first that
    /// allocates nothing. A collection in between, for another test's sake, counts what the thread's own allocation
    /// buffer had left as if it had been allocated; what the code itself allocates shows in every run. (That no
    /// collection was counted meanwhile does not tell: one in the background stops the world again at its end.)
    /// </summary>
    public static long Of(Action code, int runs = 5)
    {
        var least = long.MaxValue;
        for (var run = 0; run < runs && least > 0; run++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            code();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
