using Krewe.Control.Admission;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Admission;

/// <summary>A request's place inside the door.</summary>
/// <param name="ReservedTokens">Taken from its tenant's allowance; what is not used comes back.</param>
/// <param name="Budget">What the tenant has left; null = not limited.</param>
internal sealed record Place(Door Door, GenerationRequest Request, long ReservedTokens, BudgetState? Budget)
{
    private int _isLeft;

    /// <summary>Once; later calls do nothing.</summary>
    /// <param name="usedTokens">Of prompt and output.</param>
    public void Leave(long usedTokens)
    {
        if (Interlocked.Exchange(ref _isLeft, 1) == 0) Door.Leave(this, usedTokens);
    }
}
