"""What signing refuses. Each error's docstring is its message: Chinese first, English beside it."""

from typing import ClassVar


class SigningError(Exception):
    """签章处理失败。 / Signing failed."""

    retry: ClassVar[bool] = False

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__((type(self).__doc__ or "").strip().format(**facts))

    @property
    def code(self) -> str:
        """The stable code: the name of the error."""
        return type(self).__name__


class KeysExist(SigningError):
    """{path} 中已有密钥，不会覆盖。 / {path} already holds keys and is never overwritten."""


class KeyMissing(SigningError):
    """密钥文件 {path} 缺失或无法读取。 / The key file {path} is missing or unreadable."""


class KeyExposed(SigningError):
    """密钥文件 {path} 的权限为 {mode}，应为 0600。 / Key file {path} has mode {mode}, not 0600."""


class KeyMalformed(SigningError):
    """密钥文件 {path} 无法解读。 / The key file {path} cannot be read as what it should hold."""


class KeyNotP256(SigningError):
    """密钥文件 {path} 不是 P-256 密钥。 / The key file {path} does not hold a P-256 key."""


class KeyExpired(SigningError):
    """证书 {path} 已于 {at} 到期。 / The certificate {path} expired at {at}."""


class KeyNotYetValid(SigningError):
    """证书 {path} 自 {at} 起才生效。 / The certificate {path} is not valid before {at}."""


class KeyUsageWrong(SigningError):
    """证书 {path} 的密钥用途不符。 / The certificate {path} is not meant for this use."""


class KeyMismatched(SigningError):
    """私钥与证书 {path} 不匹配。 / The private key does not belong to the certificate {path}."""


class KeyUntrusted(SigningError):
    """证书 {path} 不是由 {issuer} 签发的。 / The certificate {path} was not issued by {issuer}."""


class FaceUnsealable(SigningError):
    """PDF 的结构不符，无法签章：{part}。 / The PDF is not of the shape that is sealed: {part}."""


class ExaminationFailed(SigningError):
    """检验未通过：{rule}。 / The examination failed: {rule}."""


class StatementRefused(SigningError):
    """二维码声明未被接受：{reason}。 / The QR statement is refused: {reason}."""


class StatusListRefused(SigningError):
    """状态表未被接受：{reason}。 / The status list is refused: {reason}."""


class KeySetRefused(SigningError):
    """公钥文件无法解读。 / The file of public keys cannot be read."""


class StatementTooLong(SigningError):
    """二维码内容过长，宽度超过 {limit_mm} mm。 / The QR code would be over {limit_mm} mm wide."""


class FaceNotDrawn(SigningError):
    """证书 {number} 的版面无法生成：{reason}。 / The face of {number} cannot be drawn: {reason}."""


class FormNotDrawn(SigningError):
    """表单 {form} 的版面无法生成：{reason}。 / The form {form} cannot be drawn: {reason}."""
