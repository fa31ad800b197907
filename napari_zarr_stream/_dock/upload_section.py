"""Where recordings are brought while they are written: a bucket, another disk."""

from magicgui.widgets import CheckBox, LineEdit, PushButton
from magicgui.widgets.bases import Widget
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from napari_zarr_stream._upload.address import address_of, check_endpoint
from napari_zarr_stream._upload.credentials import Keys
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._writer.errors import InvalidProperties

from .form import PROBLEM_STYLE, Fold, form, wrapping


class UploadSection:
    """Fields for the other place, folded away until one is named.

    Attributes
    ----------
    fields : tuple of Widget
        What is kept between sessions: no keys.
    """

    def __init__(self) -> None:
        self.upload_to = LineEdit(
            name="upload_to",
            tooltip="s3://bucket/path, az://container/path, or a folder on another "
            "disk or the network: every file goes there as soon as it is written to "
            "its end. Empty: nowhere",
        )
        self.upload_endpoint = LineEdit(
            name="upload_endpoint",
            tooltip="The address of a server of S3 that is not Amazon's, as "
            "https://s3.my-institute.org",
        )
        self.delete_local = CheckBox(
            name="delete_local",
            text="Delete the local copy once uploaded",
            tooltip="Only after all of it was compared and found equal there, and when "
            "no layer shows it any more",
        )
        self.ask_keys = PushButton(
            name="ask_keys",
            text="Keys …",
            tooltip="Of a bucket, for this session: they are kept nowhere. Without, "
            "those of the environment or of your AWS profile are used",
        )
        self.keys: Keys | None = None
        self.fields = (self.upload_to, self.upload_endpoint, self.delete_local)

    @property
    def widgets(self) -> list[Widget]:
        """All of them, as children of a container."""
        return [*self.fields, self.ask_keys]

    def lay_out(self) -> QWidget:
        """Put the fields in their places."""
        self.upload_to.native.setPlaceholderText("s3://bucket/path, or a folder")
        self.upload_endpoint.native.setPlaceholderText("https://… (if not Amazon's)")
        self._problem = wrapping(QLabel())
        self._problem.setStyleSheet(PROBLEM_STYLE)
        self._problem.hide()
        self._bucket = form(
            [("Server", self.upload_endpoint.native), ("", self.ask_keys.native)]
        )
        self._content = form(
            [
                ("Upload to", self.upload_to.native),
                ("", self._problem),
                ("", self._bucket),
                ("", self.delete_local.native),
            ]
        )
        self._fold = Fold("Upload while recording", self._content)
        self.ask_keys.clicked.connect(self._ask)
        for field in self.fields:
            field.changed.connect(self.show_choice)
        self.show_choice()
        return self._fold

    def show_choice(self, *_: object) -> None:
        """Say where it goes in the title, and what is wrong with it below."""
        to = self.upload_to.value.strip()
        self._fold.setTitle(f"Upload to {to}" if to else "Upload while recording")
        self.delete_local.enabled = bool(to)
        problem = ""
        is_bucket = "://" in to
        try:
            self.request()
        except InvalidProperties as error:
            problem = str(error)
        self._bucket.setVisible(is_bucket)
        self._problem.setText(problem[:1].upper() + problem[1:])
        self._problem.setVisible(bool(problem))

    def enable(self, enabled: bool) -> None:
        """Let the fields be changed, or not while something is recorded."""
        for field in (*self.fields, self.ask_keys):
            field.enabled = enabled
        if enabled:
            self.show_choice()

    def request(self) -> UploadRequest | None:
        """What is asked for; None for nothing.

        Raises
        ------
        InvalidProperties
        """
        to = self.upload_to.value.strip()
        if not to:
            return None
        address = address_of(to)
        endpoint = self.upload_endpoint.value.strip() if address.scheme else ""
        check_endpoint(endpoint)
        return UploadRequest(to, endpoint, self.delete_local.value, self.keys)

    def _ask(self) -> None:
        dialog = KeysDialog(self._fold)
        if dialog.exec_() == QDialog.DialogCode.Accepted:
            self.keys = dialog.keys
            self.ask_keys.text = "Keys … (given)" if self.keys else "Keys …"


class KeysDialog(QDialog):
    """Asks for a name and its secret, which is not shown."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys of the bucket")
        self.name, self.secret = QLineEdit(), QLineEdit()
        self.secret.setEchoMode(QLineEdit.EchoMode.Password)
        layout = QVBoxLayout(self)
        layout.addWidget(form([("Access key", self.name), ("Secret key", self.secret)]))
        layout.addWidget(
            wrapping(
                QLabel(
                    "Of Azure: account and its key. They are used until napari closes, "
                    "and kept nowhere. Empty: those of the environment or profile."
                )
            )
        )
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)

    @property
    def keys(self) -> Keys | None:
        """What was typed; None for nothing."""
        name, secret = self.name.text().strip(), self.secret.text().strip()
        return Keys(name, secret) if name and secret else None
