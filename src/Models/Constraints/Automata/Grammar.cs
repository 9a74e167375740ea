namespace Krewe.Models;

/// <summary>Rules by number. Rule 0 is what the whole output must be.</summary>
internal sealed class Grammar
{
    private readonly List<(string Name, Expr? Body)> _rules = [];
    private readonly Dictionary<string, int> _shared = new(StringComparer.Ordinal);

    public int Count => _rules.Count;

    public string NameOf(int rule) => _rules[rule].Name;

    public Expr BodyOf(int rule) => _rules[rule].Body
        ?? throw new InvalidOperationException($"Rule {_rules[rule].Name} was never defined.");

    /// <summary>A rule that is defined later, so that it can call itself.</summary>
    public int Declare(string name)
    {
        _rules.Add((name, null));
        return _rules.Count - 1;
    }

    public void Define(int rule, Expr body) => _rules[rule] = (_rules[rule].Name, body);

    public Expr Add(string name, Expr body)
    {
        var rule = Declare(name);
        Define(rule, body);
        return new Expr.Call(rule);
    }

    /// <summary>The rule of that name, made at its first use.</summary>
    public Expr Share(string name, Func<Expr> make)
    {
        if (TryDeclareShared(name, out var rule)) Define(rule, make());
        return new Expr.Call(rule);
    }

    /// <summary>The rule of that name. True when it was not there: the caller defines it, now or later.</summary>
    public bool TryDeclareShared(string name, out int rule)
    {
        if (_shared.TryGetValue(name, out rule)) return false;
        rule = Declare(name);
        _shared.Add(name, rule);
        return true;
    }
}
