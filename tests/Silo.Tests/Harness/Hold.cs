namespace Krewe.Silo.Tests.Harness;

/// <summary>A place where a mock worker waits until the test lets it go on.</summary>
/// <param name="Index">It waits before it sends the output token of this index.</param>
internal sealed record Hold(int Index)
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when a worker waits here.</summary>
    public Task Reached => _reached.Task.InTime();

    public void Release() => _released.TrySetResult();

    public Task WaitAsync(CancellationToken aborted)
    {
        _reached.TrySetResult();
        return _released.Task.WaitAsync(aborted);
    }
}
