namespace Krewe.Workers;

/// <summary>A cancellation token that fires after a silence: each <see cref="Renewed"/> starts the wait anew.</summary>
internal sealed class Patience : IDisposable
{
    private readonly TimeSpan _limit;
    private readonly CancellationTokenSource _silence;
    private readonly CancellationTokenSource _either;

    public Patience(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        _limit = limit;
        _silence = new CancellationTokenSource(limit, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_silence.Token, cancellationToken);
    }

    /// <summary>Fires on silence or with the outer token.</summary>
    public CancellationToken Token => _either.Token;

    /// <summary>The silence was too long.</summary>
    public bool IsOver => _silence.IsCancellationRequested;

    /// <summary>The token, with the whole limit ahead of it again.</summary>
    public CancellationToken Renewed()
    {
        _silence.CancelAfter(_limit);
        return Token;
    }

    public void Dispose()
    {
        _either.Dispose();
        _silence.Dispose();
    }
}
