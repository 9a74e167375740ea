namespace Krewe.EmbeddedOrleans.Tests;

/// <summary>Something a test waits for.</summary>
internal sealed class Signal
{
    private readonly TaskCompletionSource _source = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool IsSet => _source.Task.IsCompleted;

    public Task Wait => _source.Task.WaitAsync(TestHost.Patience);

    public void Set() => _source.TrySetResult();
}
