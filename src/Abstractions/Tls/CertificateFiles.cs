using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Krewe.Abstractions;

/// <summary>
/// A certificate with its chain and key in PEM files, looked at for every new connection, so that a renewed one is used
/// without a restart. A broken new one leaves the old. Thread-safe.
/// </summary>
public sealed class CertificateFiles
{
    private readonly string _certificatePath;
    private readonly string _keyPath;
    private readonly Lock _gate = new();
    private string _text;
    private SslStreamCertificateContext _context;

    /// <summary>Throws <see cref="KreweException"/> (InvalidOptions) when they cannot be used.</summary>
    public CertificateFiles(string certificatePath, string keyPath)
    {
        (_certificatePath, _keyPath) = (certificatePath, keyPath);
        try
        {
            _text = ReadText();
            _context = Load();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions,
                $"The certificate {certificatePath} with the key {keyPath} cannot be used: {e.Message} Both must be "
                + "PEM files, the key without a password.", innerException: e);
        }
    }

    /// <summary>What the files hold now.</summary>
    public SslStreamCertificateContext Current
    {
        get
        {
            lock (_gate)
            {
                try
                {
                    // By content: a mounted secret is swapped by a symbolic link, whose time tells nothing.
                    var text = ReadText();
                    if (text == _text) return _context;
                    (_context, _text) = (Load(), text);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
                {
                    // In the middle of being replaced, or replaced by something broken: the one that is there serves.
                    return _context;
                }

                return _context;
            }
        }
    }

    private string ReadText() => File.ReadAllText(_certificatePath) + File.ReadAllText(_keyPath);

    private SslStreamCertificateContext Load()
    {
        var leaf = X509Certificate2.CreateFromPemFile(_certificatePath, _keyPath);
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(_certificatePath);
        return SslStreamCertificateContext.Create(leaf, chain, offline: true);
    }
}
