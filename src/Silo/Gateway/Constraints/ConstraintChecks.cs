using System.Collections.Concurrent;
using Krewe.Abstractions;
using Krewe.Control.Admission;
using Krewe.Models;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Constraints;

/// <summary>
/// Which constraints the model's workers can keep. What was found out is remembered for a while: clients send the same
/// schemas over and over. What a tenant has not sent lately is compiled for it within a budget of time: it is the one
/// thing of a request that may take long before anybody has admitted it, and workers compile it too.
/// </summary>
internal sealed class ConstraintChecks(ServedModel model, TimeProvider time)
{
    private const int RememberedMax = 256;

    /// <summary>200 small ones at once, then ten a second; a large one counts as long as it takes.</summary>
    private readonly WorkBudgets _budgets = new(burstMs: 2000, share: 0.1, leastMs: 10);

    private static readonly TimeSpan OneSecond = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();

    private readonly Lazy<TokenVocabulary> _vocabulary = new(() => new TokenVocabulary(
        model.Folder.Tokenizer, model.Folder.Config.VocabularySize, model.Folder.StopTokenIds));

    private readonly ConcurrentDictionary<string, ConstraintException?> _known = new(StringComparer.Ordinal);

    /// <summary>
    /// Throws what <paramref name="refuse"/> makes of a constraint that cannot be kept, and
    /// <see cref="KreweException"/> (RateLimited) when the tenant has made the silo compile too much lately.
    /// </summary>
    /// <param name="tenant">"" = not told apart from others, and not limited.</param>
    public void Demand(ConstraintSpec spec, string tenant, Func<ConstraintException, KreweException> refuse)
    {
        if (model.Folder.StopTokenIds.Count == 0)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                $"The model '{model.Name}' has no end token, so an output of a given form could never end.");
        }

        var text = spec.Write();
        if (!_known.TryGetValue(text, out var error))
        {
            error = Check(spec, tenant);
            if (_known.Count >= RememberedMax) _known.Clear();
            _known.TryAdd(text, error);
        }

        if (error is not null) throw refuse(error);
    }

    /// <summary>Whether the token is text, and not a sign between texts.</summary>
    public bool IsText(int token) => token < model.Folder.Tokenizer.VocabularySize
        && !model.Folder.Tokenizer.IsSpecial(token) && !model.Folder.StopTokenIds.Contains(token);

    /// <summary>The model has tokens of text for it, and no sign that only looks like it.</summary>
    public bool IsWritable(string text) =>
        model.Folder.Tokenizer.Encode(text, addSpecialTokens: false).All(IsText);

    private ConstraintException? Check(ConstraintSpec spec, string tenant)
    {
        var isLimited = tenant.Length > 0;
        if (isLimited) TakeTime(tenant);
        var begun = time.GetTimestamp();
        try
        {
            ConstraintCompiler.Check(spec, _vocabulary.Value);
            return null;
        }
        catch (ConstraintException e)
        {
            return e;
        }
        finally
        {
            if (isLimited)
            {
                lock (_gate) _budgets.Settle(tenant, time.GetElapsedTime(begun).TotalMilliseconds, NowMs());
            }
        }
    }

    private void TakeTime(string tenant)
    {
        TimeSpan wait;
        lock (_gate) wait = _budgets.Take(tenant, NowMs());
        if (wait == TimeSpan.Zero) return;
        throw new KreweException(
            ErrorCode.RateLimited,
            "Too many schemas, expressions, grammars or sets of tools that are new to this server came from you; send "
            + "the same ones again, or try in a moment.")
        {
            RetryAfter = wait < OneSecond ? OneSecond : wait,
        };
    }

    private double NowMs() => time.GetElapsedTime(0).TotalMilliseconds;
}
